"""`GET /objects/{objectId}`: the properties of an Object, and the Flows that refer to it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tams.services.store import Store
from tests.support.api_steps import allocate, exists, make_flow, record, register, reuse


def test_an_unknown_object_is_not_found(client: FlaskClient) -> None:
    assert client.get("/objects/nothing").status_code == 404
    # 404 takes precedence over an invalid body or query.
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
    document = client.get(f"/objects/{object_id}").json
    (entry,) = document.pop("get_urls")
    assert entry == {"url": entry["url"], "presigned": True, "label": store.storage(None).backend.label}
    assert document == {
        "id": object_id,
        "referenced_by_flows": [flow_id],
        "first_referenced_by_flow": flow_id,
        "timerange": "[10:0_20:0]",
        "key_frame_count": 2,
    }


def test_head_has_the_same_headers(client: FlaskClient) -> None:
    (object_id,) = record(client, make_flow(client), 1)
    get = client.get(f"/objects/{object_id}?accept_get_urls=")
    head = client.head(f"/objects/{object_id}?accept_get_urls=")
    assert (head.status_code, head.data) == (200, b"")
    assert (head.headers["ETag"], head.headers["X-Paging-Limit"]) == (get.headers["ETag"], "100")


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
    segments = client.get(f"/flows/{flow_id}/segments", query_string={"object_id": object_id}).json
    assert [segment["object_id"] for segment in segments] == [object_id]


def test_the_flows_that_refer_to_an_object_are_paged(client: FlaskClient) -> None:
    flows = sorted(make_flow(client) for _ in range(5))
    (object_id,) = record(client, flows[2], 1)
    for flow_id in flows:
        register(client, flow_id, object_id, "[10:0_11:0)", ts_offset="10:0")
    referring_flows: list[str] = []
    path = f"/objects/{object_id}?limit=2&accept_get_urls="
    pages = 0
    while path:
        answer = client.get(path)
        assert answer.json["first_referenced_by_flow"] == flows[2]
        assert int(answer.headers["X-Paging-Count"]) == len(answer.json["referenced_by_flows"])
        assert answer.headers["X-Paging-Limit"] == "2"
        referring_flows += answer.json["referenced_by_flows"]
        path = answer.headers.get("Link", "").removeprefix("<http://localhost").removesuffix('>; rel="next"')
        pages += 1
    # Each Flow is listed once, however often it refers to the Object.
    assert (referring_flows, pages) == (flows, 3)


def test_references_are_filtered_by_the_flows_tags(client: FlaskClient) -> None:
    one = make_flow(client, tags={"genre": "news", "desk": ["a", "b"]})
    two = make_flow(client, tags={"genre": "sport"})
    (object_id,) = record(client, one, 1)
    reuse(client, two, [object_id])

    def references(query: str) -> list[str]:
        answer = client.get(f"/objects/{object_id}?{query}")
        assert answer.status_code == 200, answer.text
        flows: list[str] = answer.json["referenced_by_flows"]
        return flows

    assert references("flow_tag.genre=news") == [one]
    assert references("flow_tag.genre=news,sport") == sorted([one, two])
    assert references("flow_tag.desk=b") == [one]
    assert references("flow_tag_exists.desk=false") == [two]
    assert references("flow_tag_exists.desk=true&flow_tag.genre=sport") == []
    assert client.get(f"/objects/{object_id}?flow_tag_exists.desk=x").status_code == 400
    # The filter does not change the Object's other properties.
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
    document = client.get(f"/objects/{object_id}").json
    assert (document["first_referenced_by_flow"], document["referenced_by_flows"]) == (first, [second])
    assert client.delete(f"/flows/{first}").status_code == 204
    assert client.get(f"/objects/{object_id}").json["first_referenced_by_flow"] == first


def test_the_id_of_a_deleted_object_may_be_used_again(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    body = {"object_ids": ["again"]}
    url = client.post(f"/flows/{flow_id}/storage", json=body).json["media_objects"][0]["put_url"]["url"]
    register(client, flow_id, "again", "[0:0_1:0)")
    assert client.delete(f"/flows/{flow_id}/segments").status_code == 204
    assert not exists(client, "/objects/again")
    allocation = client.post(f"/flows/{flow_id}/storage", json=body).json["media_objects"][0]
    # Its bytes have another storage key, so the deletion of the old bytes never touches them.
    assert allocation["put_url"]["url"].partition("?")[0] != url.partition("?")[0]
    register(client, flow_id, "again", "[5:0_6:0)")
    assert client.get("/objects/again").json["timerange"] == "[5:0_6:0)"
