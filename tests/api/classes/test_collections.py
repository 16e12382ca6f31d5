"""Partly visible collections: what is shown of them, what a change keeps, and what errors reveal."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.access_clients import Clients, groups
from tests.support.access_scene import put_flow
from tests.support.flow_documents import Document, data, get, multi, put


def flow(admin: FlaskClient, classes: str | list[str], **more: Any) -> str:
    """Make a data Flow of these classes; return its id."""
    return put(admin, data(tags={"auth_classes": classes}, **more))


@pytest.fixture
def mixed(admin: FlaskClient) -> tuple[str, list[str]]:
    """Make a Flow of news with members of drama, news, drama, news, drama; return its id and theirs."""
    members = [flow(admin, classes) for classes in ("drama", "news", "drama", "news", "drama")]
    items = [{"id": member, "role": f"r{number}"} for number, member in enumerate(members)]
    return put(admin, multi(*items, tags={"auth_classes": "news"})), members


def ids(document: Document) -> list[str]:
    """Return the ids of a collection's members."""
    return [item["id"] for item in document.get("flow_collection", [])]


def test_hidden_members_and_collectors_are_left_out(admin: FlaskClient, reporter: FlaskClient, mixed: Any) -> None:
    flow_id, members = mixed
    assert ids(get(reporter, flow_id)) == [members[1], members[3]]
    assert [item["id"] for item in reporter.get(f"/flows/{flow_id}/flow_collection").json] == [members[1], members[3]]
    hidden = put(admin, multi(members[1], tags={"auth_classes": "drama"}))
    assert get(admin, members[1])["collected_by"] == sorted([flow_id, hidden])
    assert get(reporter, members[1])["collected_by"] == [flow_id]
    listed = {item["id"]: item for item in reporter.get("/flows").json}
    assert set(listed) == {flow_id, members[1], members[3]}
    assert listed[flow_id] == get(reporter, flow_id)


def test_a_collection_of_hidden_members_only_looks_like_no_collection(
    admin: FlaskClient, reporter: FlaskClient
) -> None:
    collected = flow(admin, "drama")
    flow_id = put(admin, multi(collected, tags={"auth_classes": "news"}))
    assert "flow_collection" not in get(reporter, flow_id)
    assert reporter.get(f"/flows/{flow_id}/flow_collection").json == []
    only = flow(admin, "news")
    put(admin, multi(only, tags={"auth_classes": "drama"}))
    assert "collected_by" not in get(reporter, only)


def test_sources_show_the_readable_part_of_their_collections(
    admin: FlaskClient, reporter: FlaskClient, mixed: Any
) -> None:
    flow_id, members = mixed
    source = {each: get(admin, each)["source_id"] for each in (flow_id, *members)}
    whole = admin.get(f"/sources/{source[flow_id]}").json
    assert [item["id"] for item in whole["source_collection"]] == [source[each] for each in members]
    seen = reporter.get(f"/sources/{source[flow_id]}").json
    assert [item["id"] for item in seen["source_collection"]] == [source[members[1]], source[members[3]]]
    drama = put(admin, multi(members[1], tags={"auth_classes": "drama"}))
    assert reporter.get(f"/sources/{source[members[1]]}").json["collected_by"] == [source[flow_id]]
    assert len(admin.get(f"/sources/{source[members[1]]}").json["collected_by"]) == 2
    assert reporter.get(f"/sources/{get(admin, drama)['source_id']}").status_code == 404


CHANGES = {
    "as it was read": (lambda seen: seen, lambda members: members),
    "turned round": (lambda seen: seen[::-1], lambda m: [m[0], m[3], m[4], m[1], m[2]]),
    "without the first": (lambda seen: seen[1:], lambda m: [m[0], m[2], m[3], m[4]]),
    "without the last": (lambda seen: seen[:1], lambda m: [m[0], m[1], m[2], m[4]]),
    "emptied": (lambda seen: [], lambda m: [m[0], m[2], m[4]]),
}


@pytest.mark.parametrize("way", ["the Flow", "its collection"])
@pytest.mark.parametrize("change", CHANGES)
def test_hidden_members_stay_in_place(
    admin: FlaskClient, reporter: FlaskClient, mixed: Any, change: str, way: str
) -> None:
    flow_id, members = mixed
    edit, expected = CHANGES[change]
    before = {item["id"]: item for item in get(admin, flow_id)["flow_collection"]}
    seen = get(reporter, flow_id)
    collection = edit(seen["flow_collection"])
    if way == "the Flow":
        put(reporter, {**seen, "flow_collection": collection})
    else:
        assert reporter.put(f"/flows/{flow_id}/flow_collection", json=collection).status_code == 204
    after = get(admin, flow_id)["flow_collection"]
    assert [item["id"] for item in after] == expected(members)
    assert all(item == before[item["id"]] for item in after)
    for member in members:
        assert (flow_id in get(admin, member).get("collected_by", [])) is (member in expected(members))


def test_deleting_a_collection_deletes_its_visible_members(
    admin: FlaskClient, reporter: FlaskClient, mixed: Any
) -> None:
    flow_id, members = mixed
    assert reporter.delete(f"/flows/{flow_id}/flow_collection").status_code == 204
    assert ids(get(admin, flow_id)) == [members[0], members[2], members[4]]
    version = get(admin, flow_id)["metadata_version"]
    assert reporter.delete(f"/flows/{flow_id}/flow_collection").status_code == 204
    assert get(admin, flow_id)["metadata_version"] == version


def test_a_hidden_member_is_refused_like_one_that_does_not_exist(
    admin: FlaskClient, reporter: FlaskClient, mixed: Any
) -> None:
    flow_id, members = mixed
    for named in (flow(admin, "drama"), members[0]):
        errors = []
        for member in (named, new_id()):
            item = [{"id": members[1]}, {"id": member}]
            answers = [
                reporter.put(f"/flows/{flow_id}/flow_collection", json=item),
                put_flow(reporter, {**get(reporter, flow_id), "flow_collection": item}),
                reporter.post("/flows", json=multi(members[1], member, tags={"auth_classes": "news"})),
            ]
            errors += [[(answer.status_code, answer.json["errors"]) for answer in answers]]
        assert errors[0] == errors[1]
        assert errors[0][0] == (400, {"flow_collection[1].id": ["there is no Flow with this id"]})


def test_a_contradiction_names_no_hidden_source(admin: FlaskClient, reporter: FlaskClient) -> None:
    first, second = (flow(admin, "drama") for _ in range(2))
    seen = flow(admin, "news")
    source_id = new_id()
    tags = {"auth_classes": "news"}
    put(admin, multi(first, seen, second, source_id=source_id, tags=tags))
    other = put(admin, multi(first, second, source_id=source_id, tags=tags))
    assert ids(get(reporter, other)) == []
    hidden = [get(admin, each)["source_id"] for each in (first, second)]
    # In front of a member that follows it in another collection.
    changed = put(admin, multi(second, source_id=source_id, tags=tags))
    answer = reporter.put(f"/flows/{changed}/flow_collection", json=[{"id": seen}])
    assert answer.status_code == 400, answer.text
    assert not any(each in answer.text for each in (*hidden, first, second))
    assert answer.json["errors"] == {"flow_collection": ["it contradicts another Flow of the Source in order or roles"]}
    by_admin = admin.put(f"/flows/{changed}/flow_collection", json=[{"id": second}, {"id": seen}])
    assert by_admin.status_code == 400
    assert hidden[1] in by_admin.text


def test_filters_by_hidden_collectors_match_nothing(admin: FlaskClient, reporter: FlaskClient) -> None:
    member = flow(admin, "news")
    hidden = put(admin, multi(member, tags={"auth_classes": "drama"}))
    readable = {
        "flows": (member, hidden),
        "sources": tuple(get(admin, each)["source_id"] for each in (member, hidden)),
    }
    for kind, (one, collector) in readable.items():
        assert [each["id"] for each in admin.get(f"/{kind}?collected_by_ids={collector}").json] == [one]
        for asked in (collector, new_id()):
            answer = reporter.get(f"/{kind}?collected_by_ids={asked}")
            assert (answer.status_code, answer.json) == (200, [])
        # No visible Flow or Source collects it.
        assert [each["id"] for each in reporter.get(f"/{kind}?collected_by_ids=").json] == [one]
    visible = put(admin, multi(member, tags={"auth_classes": "news"}))
    for asked in (visible, f"{visible},{hidden}"):
        assert [each["id"] for each in reporter.get(f"/flows?collected_by_ids={asked}").json] == [member]
    assert [each["id"] for each in reporter.get("/flows?collected_by_ids=").json] == [visible]
    # One of several may be hidden: it adds nothing.
    other = flow(admin, "news")
    secret = put(admin, multi(other, tags={"auth_classes": "drama"}))
    for kind in ("flows", "sources"):
        ids = [each if kind == "flows" else get(admin, each)["source_id"] for each in (visible, secret, member, other)]
        found = admin.get(f"/{kind}?collected_by_ids={ids[0]},{ids[1]}").json
        assert {each["id"] for each in found} == {ids[2], ids[3]}
        found = reporter.get(f"/{kind}?collected_by_ids={ids[0]},{ids[1]}").json
        assert [each["id"] for each in found] == [ids[2]]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("kind", ["flows", "sources"])
def test_members_of_hidden_collections_only_are_listed_in_full_pages(
    admin: FlaskClient, reporter: FlaskClient, kind: str, limit: int
) -> None:
    made = [flow(admin, "news", label=str(number)) for number in range(7)]
    flow(admin, "drama")
    seen = [put(admin, multi(made[number], tags={"auth_classes": "news"})) for number in (1, 2, 6)]
    hidden = [put(admin, multi(made[number], tags={"auth_classes": "drama"})) for number in (0, 1, 4)]
    assert len(hidden) == 3
    expected = {made[0], made[3], made[4], made[5], *seen}
    if kind == "sources":
        expected = {get(admin, each)["source_id"] for each in expected}
    url: str | None = f"/{kind}?collected_by_ids=&limit={limit}"
    found: list[str] = []
    while url is not None:
        answer = reporter.get(url)
        found += [each["id"] for each in answer.json]
        link = answer.headers.get("Link")
        assert link is None or len(answer.json) == limit
        url = None if link is None else link.partition(">")[0].removeprefix("<http://localhost")
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_deleting_a_member_removes_it_from_hidden_collectors_without_naming_them(
    admin: FlaskClient, reporter: FlaskClient
) -> None:
    members = [flow(admin, "news") for _ in range(2)]
    collector = put(admin, multi(*members, tags={"auth_classes": "drama"}))
    answer = reporter.delete(f"/flows/{members[0]}?cascade=false")
    assert answer.status_code == 409
    assert answer.json["blocked_by"]["collections"] == 1
    assert answer.json["blocked_by"]["examples"] == []
    assert reporter.delete(f"/flows/{members[0]}").status_code == 204
    assert ids(get(admin, collector)) == [members[1]]
    assert admin.put(f"/flows/{collector}/read_only", json=True).status_code == 204
    refused = reporter.delete(f"/flows/{members[1]}")
    assert refused.status_code == 403
    assert collector not in refused.text
    assert collector in admin.delete(f"/flows/{members[1]}").text


def test_an_etag_is_that_of_the_visible_part(
    admin: FlaskClient, reporter: FlaskClient, mixed: Any, by: Clients
) -> None:
    flow_id, members = mixed
    tags = [client.get(f"/flows/{flow_id}").headers["ETag"] for client in (admin, reporter)]
    assert len(set(tags)) == 2
    assert reporter.get(f"/flows/{flow_id}", headers={"If-None-Match": tags[1]}).status_code == 304
    # A change in a hidden place only does not change the tag of a client that cannot see it.
    put(admin, multi(members[1], tags={"auth_classes": "drama"}))
    assert reporter.get(f"/flows/{flow_id}").headers["ETag"] == tags[1]
    stranger = by(*groups("sport"))
    assert stranger.get(f"/flows/{flow_id}", headers={"If-None-Match": tags[1]}).status_code == 404
    assert reporter.get(f"/flows/{flow_id}").headers["Cache-Control"] == "private"
    assert reporter.get(f"/flows/{flow_id}").headers["Vary"] == "Authorization"


def test_a_condition_on_a_collection_is_judged_by_the_visible_part(
    admin: FlaskClient, reporter: FlaskClient, mixed: Any
) -> None:
    flow_id, _ = mixed
    path = f"/flows/{flow_id}/flow_collection"
    for client, other in ((reporter, admin), (admin, reporter)):
        visible, tag = client.get(path).json, client.get(path).headers["ETag"]
        assert other.get(path).headers["ETag"] != tag
        assert other.put(path, json=[], headers={"If-Match": tag}).status_code == 412
        assert client.put(path, json=visible, headers={"If-Match": tag}).status_code == 204
        assert client.get(path).json == visible
    both = admin.get(f"/flows/{flow_id}").headers["ETag"], reporter.get(f"/flows/{flow_id}").headers["ETag"]
    assert both[0].partition("-")[0] == both[1].partition("-")[0]
    assert reporter.put(f"/flows/{flow_id}/label", json="x", headers={"If-Match": both[1]}).status_code == 204
    assert reporter.put(f"/flows/{flow_id}/label", json="y", headers={"If-Match": both[1]}).status_code == 412
