"""Flows: creating and replacing them, links to Profiles, and `read_only`."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import is_uuid, new_id
from tams.services.store import Store
from tests.support.api_steps import allocate, make_flow, record, register
from tests.support.flow_documents import Document, audio, data, get, get_source, image, multi, put, put_profile, video

WHOLE_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_put_creates_a_flow_and_answers_with_it(client: FlaskClient) -> None:
    document = video(label="Camera 1", tags={"quality": "web"}, generation=0)
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status_code == 201
    assert answer.json == get(client, document["id"])
    assert answer.json.items() >= document.items()
    assert WHOLE_SECONDS.fullmatch(answer.json["created"])
    assert answer.json["metadata_updated"] == answer.json["created"]
    assert answer.json["created_by"] == answer.json["updated_by"] == "anonymous"
    assert answer.json["metadata_version"]
    assert not {"segments_updated", "collected_by", "timerange", "profile_id"} & answer.json.keys()


@pytest.mark.parametrize("document", [video(), audio(), image(), data(), multi()])
def test_every_format_can_be_put_and_put_back_as_it_was_got(client: FlaskClient, document: Document) -> None:
    flow_id = put(client, document)
    flow = get(client, flow_id)
    answer = client.put(f"/flows/{flow_id}", json=flow)
    assert (answer.status_code, answer.data) == (204, b"")
    changing = {"metadata_version", "metadata_updated"}
    again = get(client, flow_id)
    assert {name: again[name] for name in again.keys() - changing} == {
        name: flow[name] for name in flow.keys() - changing
    }


def test_what_a_put_leaves_out_is_unset(client: FlaskClient) -> None:
    document = data()
    put(client, {**document, "label": "a", "description": "b", "tags": {"c": "d"}, "mine": 1, "max_bit_rate": 5})
    put(client, document)
    flow = get(client, document["id"])
    assert not {"label", "description", "mine", "max_bit_rate"} & flow.keys()
    assert flow["tags"] == {}


def test_unknown_properties_are_kept_at_the_top_and_in_open_objects(client: FlaskClient) -> None:
    document = video(mine={"a": [1, None]}, segment_duration={"numerator": 6, "exact": True})
    document["essence_parameters"]["aspect_ratio"] = {"numerator": 16, "denominator": 9, "named": "wide"}
    document["container_mapping"] = {"mp2ts_container": {"pid": 256, "program": 1}, "own": {}}
    flow = get(client, put(client, document))
    assert flow.items() >= document.items()


def test_read_only_properties_are_dropped_whatever_they_hold(client: FlaskClient) -> None:
    junk = dict.fromkeys(("created", "metadata_updated", "segments_updated", "timerange", "collected_by"), 5)
    flow = get(client, put(client, data(**junk)))
    assert WHOLE_SECONDS.fullmatch(flow["created"])
    assert not {"segments_updated", "timerange", "collected_by"} & flow.keys()


def test_whole_numbers_may_be_written_with_a_fraction_of_zero(client: FlaskClient) -> None:
    document = video(generation=0.0)
    document["essence_parameters"]["frame_rate"] = {"numerator": 25.0}
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status_code == 201
    assert '"numerator":25}' in answer.text


def test_the_id_in_the_body_is_that_of_the_path(client: FlaskClient) -> None:
    answer = client.put(f"/flows/{new_id()}", json=data())
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["id"]


def test_an_unknown_or_malformed_id_is_404(client: FlaskClient) -> None:
    for flow_id in (new_id(), "x", new_id().upper()):
        assert client.get(f"/flows/{flow_id}").status_code == 404
        assert client.head(f"/flows/{flow_id}").status_code == 404
    assert client.put("/flows/x", json=data()).status_code == 404


# POST /flows


def test_post_creates_a_flow_with_an_id_of_ours(client: FlaskClient) -> None:
    document = data()
    del document["id"]
    answer = client.post("/flows", json=document)
    assert answer.status_code == 201
    assert is_uuid(answer.json["id"])
    assert answer.headers["Location"] == f"http://localhost/flows/{answer.json['id']}"
    assert get(client, answer.json["id"]) == answer.json


def test_post_of_an_existing_id_is_409_and_changes_nothing(client: FlaskClient) -> None:
    document = data(label="first")
    assert client.post("/flows", json=document).status_code == 201
    before = get(client, document["id"])
    assert client.post("/flows", json={**document, "label": "second"}).status_code == 409
    assert get(client, document["id"]) == before


# Sources of Flows


def test_a_flow_creates_its_source(client: FlaskClient) -> None:
    document = video(label="Camera 1", description="left", tags={"a": ["b"]})
    put(client, document)
    source = get_source(client, document["source_id"])
    assert source == {
        "id": document["source_id"],
        "format": document["format"],
        "label": "Camera 1",
        "description": "left",
        "tags": {"a": ["b"]},
        "created_by": "anonymous",
        "updated_by": "anonymous",
        "created": source["created"],
        "updated": source["created"],
    }


def test_a_later_flow_never_touches_the_source(client: FlaskClient) -> None:
    document = video(label="first")
    put(client, document)
    before = get_source(client, document["source_id"])
    put(client, {**document, "label": "changed"})
    put(client, video(source_id=document["source_id"], label="second", tags={"x": "y"}))
    assert get_source(client, document["source_id"]) == before


def test_a_format_that_differs_from_the_sources_is_refused(client: FlaskClient) -> None:
    document = video()
    put(client, document)
    for other in (audio(source_id=document["source_id"]), audio(id=document["id"], source_id=document["source_id"])):
        answer = client.put(f"/flows/{other['id']}", json=other)
        assert answer.status_code == 400
        assert list(answer.json["errors"]) == ["format"]
    assert get(client, document["id"])["format"] == document["format"]


def test_a_source_that_a_flow_created_is_deleted_when_its_last_flow_moves_away(client: FlaskClient) -> None:
    first, second = data(), data()
    second["source_id"] = first["source_id"]
    put(client, first)
    put(client, second)
    new_source = new_id()
    put(client, {**first, "source_id": new_source})
    assert client.get(f"/sources/{first['source_id']}").status_code == 200
    put(client, {**second, "source_id": new_source})
    assert client.get(f"/sources/{first['source_id']}").status_code == 404
    assert get_source(client, new_source)["format"] == first["format"]


def test_a_declared_source_stays_when_its_last_flow_moves_away(client: FlaskClient) -> None:
    document = data()
    assert client.post("/sources", json={"id": document["source_id"], "format": document["format"]}).status_code == 201
    put(client, document)
    put(client, {**document, "source_id": new_id()})
    assert client.get(f"/sources/{document['source_id']}").status_code == 200


# Versions and names


def test_new_values_of_metadata_version_and_updated_by_are_stored(client: FlaskClient) -> None:
    document = data(metadata_version="v1", created_by="me", updated_by="you")
    put(client, document)
    first = get(client, document["id"])
    assert (first["metadata_version"], first["created_by"], first["updated_by"]) == ("v1", "me", "you")
    put(client, {**document, "metadata_version": "v2", "created_by": "them", "updated_by": "us"})
    second = get(client, document["id"])
    assert (second["metadata_version"], second["created_by"], second["updated_by"]) == ("v2", "me", "us")


def test_repeated_values_of_metadata_version_and_updated_by_count_as_absent(client: FlaskClient) -> None:
    document = data(metadata_version="v1", updated_by="you")
    put(client, document)
    put(client, {**document, "label": "changed"})
    flow = get(client, document["id"])
    assert flow["metadata_version"] not in ("v1", None)
    assert flow["updated_by"] == "anonymous"


def test_metadata_updated_follows_and_created_stays(client: FlaskClient, store: Store) -> None:
    document = data()
    put(client, document)
    with store.repository.read() as read:
        before = read.flow(document["id"])
    put(client, {**document, "label": "changed"})
    with store.repository.read() as read:
        after = read.flow(document["id"])
    assert before is not None
    assert after is not None
    assert (after.created, after.flow_key) == (before.created, before.flow_key)
    assert after.metadata_updated > before.metadata_updated


# read_only


def test_a_read_only_flow_refuses_every_put_whatever_its_body(client: FlaskClient) -> None:
    document = data(read_only=True)
    flow_id = put(client, document)
    before = get(client, flow_id)
    requests: list[dict[str, Any]] = [
        {"json": {**document, "read_only": False}},
        {"json": {}},
        {"data": b"{", "content_type": "application/json"},
        {"data": b"x", "content_type": "text/plain"},
    ]
    for request in requests:
        answer = client.put(f"/flows/{flow_id}", **request)
        assert answer.status_code == 403
    assert get(client, flow_id) == before
    assert client.put(f"/flows/{flow_id}/read_only", json=False).status_code == 204
    put(client, document)


# Profiles


def test_a_flow_takes_its_technical_metadata_from_its_profile(client: FlaskClient) -> None:
    profile_id = put_profile(client)
    flow_id = new_id()
    document = {"id": flow_id, "source_id": new_id(), "profile_id": profile_id, "label": "a", "max_bit_rate": 6000}
    put(client, document)
    flow = get(client, flow_id)
    assert flow.items() >= document.items()
    assert (flow["codec"], flow["avg_bit_rate"]) == ("video/h264", 5000)
    assert flow["essence_parameters"]["frame_width"] == 1280
    assert get_source(client, flow["source_id"])["format"] == "urn:x-nmos:format:video"
    put(client, {**document, "label": "b", "max_bit_rate": 7000})
    again = get(client, flow_id)
    assert (again["label"], again["max_bit_rate"], again["codec"]) == ("b", 7000, "video/h264")


@pytest.mark.parametrize(
    "technical",
    [
        {"format": "urn:x-nmos:format:video"},
        {"codec": "video/h264"},
        {"container": "video/mp2t"},
        {"avg_bit_rate": 5000},
        {"segment_duration": {"numerator": 1}},
        {"container_mapping": {}},
        {"essence_parameters": {}},
    ],
)
def test_a_flow_with_a_profile_sets_no_technical_metadata(client: FlaskClient, technical: dict[str, Any]) -> None:
    flow_id, profile_id = new_id(), put_profile(client)
    document = {"id": flow_id, "source_id": new_id(), "profile_id": profile_id}
    for _ in ("as a new Flow", "as one that is linked"):
        answer = client.put(f"/flows/{flow_id}", json={**document, **technical})
        assert answer.status_code == 400
        assert list(answer.json["errors"]) == list(technical)
        put(client, document)


def test_an_unknown_profile_is_refused(client: FlaskClient) -> None:
    flow_id = new_id()
    for profile_id in (new_id(), "x", 5):
        document = {"id": flow_id, "source_id": new_id(), "profile_id": profile_id}
        answer = client.put(f"/flows/{flow_id}", json=document)
        assert answer.status_code == 400
        assert "profile_id" in answer.json["errors"]


def test_an_empty_profile_id_with_technical_metadata_breaks_the_link_and_is_not_stored(client: FlaskClient) -> None:
    document = video()
    put(client, {"id": document["id"], "source_id": document["source_id"], "profile_id": put_profile(client)})
    put(client, {**document, "profile_id": ""})
    flow = get(client, document["id"])
    assert "profile_id" not in flow
    assert flow["essence_parameters"]["frame_width"] == 1920
    put(client, {**document, "avg_bit_rate": 1})


@pytest.mark.parametrize("broken", ["leave it out", "another", "as it was got", "empty without technical metadata"])
def test_anything_else_on_a_flow_with_a_profile_is_refused(client: FlaskClient, broken: str) -> None:
    document = video()
    linked = {"id": document["id"], "source_id": document["source_id"], "profile_id": put_profile(client)}
    put(client, linked)
    before = get(client, document["id"])
    bodies = {
        "leave it out": document,
        "another": {**linked, "profile_id": put_profile(client)},
        "as it was got": before,
        "empty without technical metadata": {**linked, "profile_id": ""},
    }
    answer = client.put(f"/flows/{document['id']}", json=bodies[broken])
    assert answer.status_code == 400
    assert get(client, document["id"]) == before


# Segments and their Flow


def test_init_segments_cannot_be_changed_against_the_stored_segments(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    document = get(client, flow_id)
    record(client, flow_id, 1)
    answer = client.put(f"/flows/{flow_id}", json={**document, "essence_parameters": {"init_segments": True}})
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["essence_parameters.init_segments"]
    put(client, {**document, "essence_parameters": {"init_segments": False}})


def test_init_segments_cannot_be_lifted_while_segments_have_an_init_object(client: FlaskClient) -> None:
    flow_id = make_flow(client, essence_parameters={"init_segments": True})
    media, init = allocate(client, flow_id, 2)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    document = get(client, flow_id)
    for essence in ({}, {"init_segments": False}):
        answer = client.put(f"/flows/{flow_id}", json={**document, "essence_parameters": essence})
        assert answer.status_code == 400
    put(client, {**document, "label": "still with init Segments"})


def test_the_timerange_is_shown_when_it_is_asked_for(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    url = f"/flows/{flow_id}"
    assert client.get(f"{url}?include_timerange=true").json["timerange"] == "()"
    record(client, flow_id, 2)
    record(client, flow_id, 1, start=5)
    assert "timerange" not in client.get(url).json
    assert "timerange" not in client.get(f"{url}?timerange=[0:0_1:0)").json
    for query, expected in [
        ("", "[0:0_6:0)"),
        ("&timerange=_", "[0:0_6:0)"),
        ("&timerange=[1:500000000_", "[1:0_6:0)"),
        ("&timerange=[0:0]", "[0:0_1:0)"),
        ("&timerange=[3:0_4:0)", "()"),
        ("&timerange=()", "()"),
        ("&timerange=", "()"),
    ]:
        assert client.get(f"{url}?include_timerange=TRUE{query}").json["timerange"] == expected, query
    assert client.get(f"{url}?include_timerange=yes").status_code == 400
    assert client.get(f"{url}?timerange=nonsense").status_code == 400


def test_a_flow_with_the_id_of_a_deleted_flow_is_a_new_flow(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 1)
    with store.repository.read() as read:
        before = read.flow(flow_id)
    assert client.delete(f"/flows/{flow_id}").status_code == 204
    make_flow(client, flow_id)
    with store.repository.read() as read:
        after = read.flow(flow_id)
    assert before is not None
    assert after is not None
    assert after.flow_key != before.flow_key
    assert after.count == 0
    assert "segments_updated" not in get(client, flow_id)
