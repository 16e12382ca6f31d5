"""Collections of Flows, and the collections of Sources that are derived from them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.flow_documents import Document, audio, data, get, get_source, multi, put, video


def _collected_by(client: FlaskClient, document: Document) -> tuple[list[str], list[str]]:
    """Return the ids of the Flows that collect the Flow, and of the Sources that collect its Source."""
    flow, source = get(client, document["id"]), get_source(client, document["source_id"])
    return flow.get("collected_by", []), source.get("collected_by", [])


def _source_collection(client: FlaskClient, document: Document) -> list[Any]:
    return list(get_source(client, document["source_id"]).get("source_collection", []))


def _items(*documents: Document) -> list[Any]:
    return [{"id": document["source_id"]} for document in documents]


def _refused(client: FlaskClient, document: Document, path: str = "flow_collection") -> None:
    before = client.get("/flows").json, client.get("/sources").json
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [path]
    assert (client.get("/flows").json, client.get("/sources").json) == before


@pytest.fixture
def picture(client: FlaskClient) -> Document:
    """Create a video Flow."""
    document = video()
    put(client, document)
    return document


@pytest.fixture
def sound(client: FlaskClient) -> Document:
    """Create an audio Flow."""
    document = audio()
    put(client, document)
    return document


def test_a_collection_shows_on_both_sides_for_flows_and_sources(
    client: FlaskClient, picture: Document, sound: Document
) -> None:
    collector = multi({"id": picture["id"], "role": "main"}, sound["id"])
    put(client, collector)
    assert get(client, collector["id"])["flow_collection"] == collector["flow_collection"]
    assert client.get(f"/flows/{collector['id']}/flow_collection").json == collector["flow_collection"]
    assert _source_collection(client, collector) == [
        {"id": picture["source_id"], "role": "main"},
        {"id": sound["source_id"]},
    ]
    for member in (picture, sound):
        assert _collected_by(client, member) == ([collector["id"]], [collector["source_id"]])


def test_a_change_of_collected_by_is_not_a_change_of_metadata(client: FlaskClient, picture: Document) -> None:
    flow, source = get(client, picture["id"]), get_source(client, picture["source_id"])
    assert client.put(f"/flows/{picture['id']}/read_only", json=True).status_code == 204
    flow = get(client, picture["id"])
    collector = multi(picture["id"])
    put(client, collector)
    assert {**get(client, picture["id"]), "collected_by": None} == {**flow, "collected_by": None}
    assert {**get_source(client, picture["source_id"]), "collected_by": None} == {**source, "collected_by": None}
    assert client.delete(f"/flows/{collector['id']}/flow_collection").status_code == 204
    assert get(client, picture["id"]) == flow
    assert get_source(client, picture["source_id"]) == source


def test_members_come_and_go_with_every_way_to_change_the_collection(
    client: FlaskClient, picture: Document, sound: Document
) -> None:
    collector = multi(picture["id"])
    put(client, collector)
    put(client, {**collector, "flow_collection": [{"id": sound["id"]}]})
    assert _collected_by(client, picture) == ([], [])
    assert _collected_by(client, sound) == ([collector["id"]], [collector["source_id"]])
    url = f"/flows/{collector['id']}/flow_collection"
    assert client.put(url, json=[{"id": sound["id"]}, {"id": picture["id"], "own": 1}]).status_code == 204
    assert client.get(url).json == [{"id": sound["id"]}, {"id": picture["id"], "own": 1}]
    assert _source_collection(client, collector) == _items(sound, picture)
    assert client.put(url, json=[]).status_code == 204
    assert client.get(url).json == []
    assert _source_collection(client, collector) == []
    put(client, collector)
    assert _collected_by(client, picture) == ([collector["id"]], [collector["source_id"]])
    put(client, {name: value for name, value in collector.items() if name != "flow_collection"})
    assert client.get(url).json == []
    for member in (picture, sound):
        assert _collected_by(client, member) == ([], [])


def test_only_existing_flows_can_be_collected(client: FlaskClient, picture: Document) -> None:
    _refused(client, multi(picture["id"], new_id()), "flow_collection[1].id")
    collector = multi()
    put(client, collector)
    answer = client.put(f"/flows/{collector['id']}/flow_collection", json=[{"id": new_id()}])
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["flow_collection[0].id"]


def test_a_flow_cannot_collect_itself(client: FlaskClient, picture: Document) -> None:
    collector = multi()
    collector["flow_collection"] = [{"id": picture["id"]}, {"id": collector["id"]}]
    _refused(client, collector, "flow_collection[1].id")
    put(client, {**collector, "flow_collection": []})
    _refused(client, collector, "flow_collection[1].id")


def test_a_circle_of_flows_is_refused(client: FlaskClient, picture: Document) -> None:
    inner = multi(picture["id"])
    middle, other = multi(inner["id"]), multi(inner["id"])
    outer = multi(middle["id"], other["id"])
    for document in (inner, middle, other, outer):
        put(client, document)
    _refused(client, {**inner, "flow_collection": [{"id": outer["id"]}]})
    _refused(client, {**inner, "flow_collection": [{"id": middle["id"]}]})
    answer = client.put(f"/flows/{inner['id']}/flow_collection", json=[{"id": picture["id"]}, {"id": outer["id"]}])
    assert answer.status_code == 400
    assert client.delete(f"/flows/{middle['id']}/flow_collection").status_code == 204
    put(client, {**middle, "flow_collection": [{"id": picture["id"]}]})


def test_a_source_collects_the_members_of_all_its_flows_in_the_order_of_the_oldest(
    client: FlaskClient, picture: Document, sound: Document
) -> None:
    text = data()
    put(client, text)
    first = multi(sound["id"], picture["id"])
    put(client, first)
    second = multi(sound["id"], text["id"], picture["id"], source_id=first["source_id"])
    put(client, second)
    assert _source_collection(client, first) == _items(sound, text, picture)
    assert _collected_by(client, text) == ([second["id"]], [first["source_id"]])
    assert client.delete(f"/flows/{second['id']}").status_code == 204
    assert _source_collection(client, first) == _items(sound, picture)
    assert _collected_by(client, text) == ([], [])
    assert _collected_by(client, sound) == ([first["id"]], [first["source_id"]])


def test_flows_of_one_source_cannot_differ_in_the_order_or_roles_of_their_members(
    client: FlaskClient, picture: Document, sound: Document
) -> None:
    first = multi({"id": sound["id"], "role": "commentary"}, picture["id"])
    put(client, first)
    same_source = {"source_id": first["source_id"]}
    _refused(client, multi(picture["id"], sound["id"], **same_source))
    _refused(client, multi({"id": sound["id"], "role": "music"}, **same_source))
    second = multi({"id": sound["id"], "role": "commentary"}, **same_source)
    put(client, second)
    put(client, multi(sound["id"], {"id": picture["id"], "role": "main"}, **same_source))
    assert _source_collection(client, first) == [
        {"id": sound["source_id"], "role": "commentary"},
        {"id": picture["source_id"], "role": "main"},
    ]
    elsewhere = multi(picture["id"], sound["id"])
    put(client, elsewhere)
    _refused(client, {**elsewhere, **same_source})
    answer = client.put(f"/flows/{second['id']}/flow_collection", json=[{"id": sound["id"], "role": "music"}])
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["flow_collection"]


def test_two_flows_of_one_source_are_one_member_of_the_source(client: FlaskClient, picture: Document) -> None:
    proxy = video(source_id=picture["source_id"])
    put(client, proxy)
    collector = multi(picture["id"], proxy["id"])
    put(client, collector)
    assert _source_collection(client, collector) == _items(picture)
    put(client, {**collector, "flow_collection": [{"id": proxy["id"]}]})
    assert _collected_by(client, picture) == ([], [collector["source_id"]])


def test_a_source_does_not_collect_itself(client: FlaskClient, picture: Document) -> None:
    other = video(source_id=picture["source_id"], flow_collection=[{"id": picture["id"]}])
    put(client, other)
    assert _collected_by(client, picture) == ([other["id"]], [])
    assert _source_collection(client, picture) == []


def test_sources_follow_a_member_that_moves_to_another_source(
    client: FlaskClient, picture: Document, sound: Document
) -> None:
    collector = multi(picture["id"], sound["id"])
    put(client, collector)
    moved = {**picture, "source_id": new_id()}
    put(client, moved)
    assert client.get(f"/sources/{picture['source_id']}").status_code == 404
    assert _source_collection(client, collector) == _items(moved, sound)
    assert _collected_by(client, moved) == ([collector["id"]], [collector["source_id"]])


def test_sources_follow_a_collector_that_moves_to_another_source(client: FlaskClient, picture: Document) -> None:
    collector = multi(picture["id"])
    put(client, collector)
    moved = {**collector, "source_id": new_id()}
    put(client, moved)
    assert client.get(f"/sources/{collector['source_id']}").status_code == 404
    assert _source_collection(client, moved) == _items(picture)
    assert _collected_by(client, picture) == ([collector["id"]], [moved["source_id"]])


def test_deleting_a_member_takes_it_out_of_its_collectors(
    client: FlaskClient, picture: Document, sound: Document
) -> None:
    collectors = [multi(picture["id"], sound["id"]), multi(picture["id"])]
    for collector in collectors:
        put(client, collector)
    versions = [get(client, collector["id"])["metadata_version"] for collector in collectors]
    assert client.delete(f"/flows/{picture['id']}").status_code == 204
    assert client.get(f"/sources/{picture['source_id']}").status_code == 404
    for collector, version, members in zip(collectors, versions, [[sound], []], strict=True):
        flow = get(client, collector["id"])
        assert flow["flow_collection"] == [{"id": member["id"]} for member in members]
        assert flow["metadata_version"] != version
        assert _source_collection(client, collector) == _items(*members)


def test_deleting_a_member_of_a_read_only_collector_is_403(client: FlaskClient, picture: Document) -> None:
    collector = multi(picture["id"], read_only=True)
    put(client, collector)
    assert client.delete(f"/flows/{picture['id']}").status_code == 403
    assert _collected_by(client, picture) == ([collector["id"]], [collector["source_id"]])


def test_deleting_a_collector_leaves_its_members(client: FlaskClient, picture: Document, sound: Document) -> None:
    collector = multi(picture["id"], sound["id"])
    put(client, collector)
    assert client.delete(f"/flows/{collector['id']}").status_code == 204
    assert client.get(f"/sources/{collector['source_id']}").status_code == 404
    for member in (picture, sound):
        assert _collected_by(client, member) == ([], [])


def test_deleting_a_member_that_is_itself_a_collector_updates_both_sides(
    client: FlaskClient, picture: Document
) -> None:
    middle = multi(picture["id"])
    outer = multi(middle["id"])
    for document in (middle, outer):
        put(client, document)
    assert _collected_by(client, middle) == ([outer["id"]], [outer["source_id"]])
    assert client.delete(f"/flows/{middle['id']}").status_code == 204
    assert get(client, outer["id"])["flow_collection"] == []
    assert _source_collection(client, outer) == []
    assert _collected_by(client, picture) == ([], [])


def test_a_source_goes_with_its_flows_though_they_collect_each_other(client: FlaskClient, picture: Document) -> None:
    proxy = video(source_id=picture["source_id"])
    put(client, proxy)
    wrapper = video(source_id=picture["source_id"], flow_collection=[{"id": proxy["id"]}])
    collector = multi(wrapper["id"], picture["id"])
    for document in (wrapper, collector):
        put(client, document)
    assert client.delete(f"/sources/{picture['source_id']}?cascade=true").status_code == 200
    assert [flow["id"] for flow in client.get("/flows").json] == [collector["id"]]
    assert get(client, collector["id"])["flow_collection"] == []
    assert _source_collection(client, collector) == []


def test_listings_filter_by_collector(client: FlaskClient, picture: Document, sound: Document) -> None:
    first, second = multi(picture["id"]), multi(picture["id"], sound["id"])
    put(client, first)
    put(client, second)

    def flows(query: str) -> set[str]:
        return {flow["id"] for flow in client.get(f"/flows?collected_by_ids={query}").json}

    def sources(query: str) -> set[str]:
        return {source["id"] for source in client.get(f"/sources?collected_by_ids={query}").json}

    assert flows("") == {first["id"], second["id"]}
    assert flows(first["id"]) == {picture["id"]}
    assert flows(f"{first['id']}%2C{second['id']}") == {picture["id"], sound["id"]}
    assert flows(new_id()) == set()
    assert sources("") == {first["source_id"], second["source_id"]}
    assert sources(second["source_id"]) == {picture["source_id"], sound["source_id"]}
