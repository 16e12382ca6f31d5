"""`GET /objects/{objectId}`: what an Object is, and which Flows refer to it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tams.services.store import Store
from tests.support.api_steps import allocate, exists, make_flow, record, register, reuse


def test_an_unknown_object_is_not_found(client: FlaskClient) -> None:
    assert client.get("/objects/nothing").status_code == 404
    # Before the body or the query is looked at.
    assert client.post("/objects/nothing/instances", data="not even JSON").status_code == 404
    assert client.delete("/objects/nothing/instances").status_code == 404


def test_an_object_that_is_allocated_and_not_registered_is_not_found(client: FlaskClient) -> None:
    (object_id,) = allocate(client, make_flow(client))
    assert client.get(f"/objects/{object_id}").status_code == 404
    assert client.head(f"/objects/{object_id}").status_code == 404
    assert client.post(f"/objects/{object_id}/instances", json={}).status_code == 404
    assert client.delete(f"/objects/{object_id}/instances").status_code == 404


def test_an_object_is_shown(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    (object_id,) = allocate(client, flow_id)
    register(client, flow_id, object_id, "[10:0_11:0)", object_timerange="[10:0_20:0]", key_frame_count=2)
    shown = client.get(f"/objects/{object_id}").json
    (entry,) = shown.pop("get_urls")
    assert entry == {"url": entry["url"], "presigned": True, "label": store.storage(None).backend.label}
    assert shown == {
        "id": object_id,
        "referenced_by_flows": [flow_id],
        "first_referenced_by_flow": flow_id,
        "timerange": "[10:0_20:0]",
        "key_frame_count": 2,
    }


def test_head_has_the_same_headers(client: FlaskClient) -> None:
    (object_id,) = record(client, make_flow(client), 1)
    got = client.get(f"/objects/{object_id}?accept_get_urls=")
    asked = client.head(f"/objects/{object_id}?accept_get_urls=")
    assert (asked.status_code, asked.data) == (200, b"")
    assert (asked.headers["ETag"], asked.headers["X-Paging-Limit"]) == (got.headers["ETag"], "100")


def test_signed_urls_are_not_to_be_kept(client: FlaskClient) -> None:
    (object_id,) = record(client, make_flow(client), 1)
    signed = client.get(f"/objects/{object_id}")
    assert signed.headers["Cache-Control"] == "no-store"
    assert "ETag" not in signed.headers


@pytest.mark.parametrize(
    "object_id",
    ["a/b", "/a", "a//b", "..", ".", "a/instances", "%2F", "a?b#c", "a b", "ü€𝄞", "a+b", ";a=b,c", "x" * 1024],
)
def test_an_id_may_hold_any_character(client: FlaskClient, object_id: str) -> None:
    flow_id = make_flow(client)
    register(client, flow_id, object_id, "[0:0_1:0)", get_urls=[{"url": "https://example.com/a", "label": "a"}])
    path = f"/objects/{quote(object_id, safe='')}"
    assert client.get(path).json["id"] == object_id
    body = {"url": "https://example.com/b", "label": "b"}
    assert client.post(f"{path}/instances", json=body).status_code == 201
    assert len(client.get(path).json["get_urls"]) == 2
    found = client.get(f"/flows/{flow_id}/segments", query_string={"object_id": object_id}).json
    assert [segment["object_id"] for segment in found] == [object_id]


def test_the_flows_that_refer_to_an_object_are_paged(client: FlaskClient) -> None:
    flows = sorted(make_flow(client) for _ in range(5))
    (object_id,) = record(client, flows[2], 1)
    for flow_id in flows:
        register(client, flow_id, object_id, "[10:0_11:0)", ts_offset="10:0")
    seen: list[str] = []
    path = f"/objects/{object_id}?limit=2&accept_get_urls="
    pages = 0
    while path:
        answer = client.get(path)
        assert answer.json["first_referenced_by_flow"] == flows[2]
        assert int(answer.headers["X-Paging-Count"]) == len(answer.json["referenced_by_flows"])
        assert answer.headers["X-Paging-Limit"] == "2"
        seen += answer.json["referenced_by_flows"]
        path = answer.headers.get("Link", "").removeprefix("<http://localhost").removesuffix('>; rel="next"')
        pages += 1
    # Each once, however often it refers to the Object.
    assert (seen, pages) == (flows, 3)


def test_references_are_filtered_by_the_flows_tags(client: FlaskClient) -> None:
    one = make_flow(client, tags={"genre": "news", "desk": ["a", "b"]})
    two = make_flow(client, tags={"genre": "sport"})
    (object_id,) = record(client, one, 1)
    reuse(client, two, [object_id])

    def found(query: str) -> list[str]:
        answer = client.get(f"/objects/{object_id}?{query}")
        assert answer.status_code == 200, answer.text
        flows: list[str] = answer.json["referenced_by_flows"]
        return flows

    assert found("flow_tag.genre=news") == [one]
    assert found("flow_tag.genre=news,sport") == sorted([one, two])
    assert found("flow_tag.desk=b") == [one]
    assert found("flow_tag_exists.desk=false") == [two]
    assert found("flow_tag_exists.desk=true&flow_tag.genre=sport") == []
    assert client.get(f"/objects/{object_id}?flow_tag_exists.desk=x").status_code == 400
    # What is shown of the Object does not depend on it.
    assert client.get(f"/objects/{object_id}?flow_tag.genre=none").json["first_referenced_by_flow"] == one


@pytest.mark.parametrize("query", ["limit=0", "page=x", "presigned=1", "accept_storage_ids=x", "verbose_storage=x"])
def test_a_malformed_parameter_is_refused(client: FlaskClient, query: str) -> None:
    (object_id,) = record(client, make_flow(client), 1)
    answer = client.get(f"/objects/{object_id}?{query}")
    assert (answer.status_code, list(answer.json["errors"])) == (400, [query.partition("=")[0]])


def test_the_first_flow_is_remembered_when_it_no_longer_refers_to_the_object(client: FlaskClient) -> None:
    first, second = make_flow(client), make_flow(client)
    (object_id,) = record(client, first, 1)
    reuse(client, second, [object_id])
    assert client.delete(f"/flows/{first}/segments").status_code == 204
    shown = client.get(f"/objects/{object_id}").json
    assert (shown["first_referenced_by_flow"], shown["referenced_by_flows"]) == (first, [second])
    assert client.delete(f"/flows/{first}").status_code == 204
    assert client.get(f"/objects/{object_id}").json["first_referenced_by_flow"] == first


def test_an_id_may_come_back_after_its_object_is_gone(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    body = {"object_ids": ["again"]}
    url = client.post(f"/flows/{flow_id}/storage", json=body).json["media_objects"][0]["put_url"]["url"]
    register(client, flow_id, "again", "[0:0_1:0)")
    assert client.delete(f"/flows/{flow_id}/segments").status_code == 204
    assert not exists(client, "/objects/again")
    given = client.post(f"/flows/{flow_id}/storage", json=body).json["media_objects"][0]
    # Its bytes are others: the deletion of the old ones never touches them.
    assert given["put_url"]["url"].partition("?")[0] != url.partition("?")[0]
    register(client, flow_id, "again", "[5:0_6:0)")
    assert client.get("/objects/again").json["timerange"] == "[5:0_6:0)"
