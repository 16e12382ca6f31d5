"""`POST /flows/{flowId}/storage`: storage for new Objects."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.context import STORE
from tams.domain.identifiers import is_uuid, new_id
from tams.services.store import Store
from tests.support.api_steps import make_flow, register


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def allocated(client: FlaskClient, flow_id: str, body: Any = None) -> list[dict[str, Any]]:
    """Allocate storage with this body, or without one; return the `media_objects`."""
    answer = client.post(f"/flows/{flow_id}/storage", **({} if body is None else {"json": body}))
    assert answer.status_code == 201, answer.text
    assert list(answer.json) == ["media_objects"]
    objects: list[dict[str, Any]] = answer.json["media_objects"]
    return objects


@pytest.mark.parametrize(("body", "count"), [(None, 10), ({}, 10), ({"limit": 3}, 3), ({"limit": 2.0}, 2)])
def test_objects_are_given_new_ids(client: FlaskClient, flow_id: str, body: Any, count: int) -> None:
    objects = allocated(client, flow_id, body)
    ids = {item["object_id"] for item in objects}
    assert len(ids) == len(objects) == count
    assert all(is_uuid(object_id) for object_id in ids)


def test_a_large_limit_is_brought_down(client: FlaskClient, flow_id: str) -> None:
    assert len(allocated(client, flow_id, {"limit": 1_000_000})) == 1000


def test_ids_can_be_chosen(client: FlaskClient, flow_id: str) -> None:
    ids = ["a", "b/c", "ü" * 512]
    assert [item["object_id"] for item in allocated(client, flow_id, {"object_ids": ids})] == ids
    assert allocated(client, flow_id, {"object_ids": []}) == []


def test_a_put_url_is_presigned_and_takes_the_bytes(client: FlaskClient, flow_id: str) -> None:
    (item,) = allocated(client, flow_id, {"limit": 1})
    assert item["presigned"] is True
    assert item["put_url"].keys() == {"url", "content-type"}
    assert item["put_url"]["content-type"] == "application/octet-stream"
    assert item["put_url"]["url"].startswith("http://localhost/")
    put = client.put(item["put_url"]["url"], data=b"media", content_type="application/octet-stream")
    assert put.status_code == 200
    register(client, flow_id, item["object_id"], "[0:0_1:0)")
    (entry,) = client.get(f"/objects/{item['object_id']}").json["get_urls"]
    assert client.get(entry["url"]).data == b"media"


def test_presigned_urls_are_not_to_be_kept(client: FlaskClient, flow_id: str) -> None:
    answer = client.post(f"/flows/{flow_id}/storage", json={"presigned": True})
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_plain_url_takes_the_bytes_too_until_the_object_is_registered(client: FlaskClient, flow_id: str) -> None:
    (item,) = allocated(client, flow_id, {"limit": 1, "presigned": False})
    assert "presigned" not in item
    url, content_type = item["put_url"]["url"], item["put_url"]["content-type"]
    assert client.put(url, data=b"first", content_type=content_type).status_code == 200
    assert client.put(url, data=b"media", content_type=content_type).status_code == 200
    register(client, flow_id, item["object_id"], "[0:0_1:0)")
    assert client.put(url, data=b"later", content_type=content_type).status_code == 403
    (entry,) = client.get(f"/objects/{item['object_id']}").json["get_urls"]
    assert client.get(entry["url"]).data == b"media"


def test_a_plain_url_is_for_its_object_only(client: FlaskClient, flow_id: str) -> None:
    one, two = allocated(client, flow_id, {"limit": 2, "presigned": False})
    mixed = one["put_url"]["url"].partition("?")[0] + "?" + two["put_url"]["url"].partition("?")[2]
    assert client.put(mixed, data=b"media", content_type="application/octet-stream").status_code == 404


def test_urls_end_before_the_storage_is_collected(app: Flask) -> None:
    store: Store = app.extensions[STORE]
    client = app.test_client()
    flow_id = make_flow(client)
    signed = allocated(client, flow_id, {"limit": 1})[0]
    plain = allocated(client, flow_id, {"limit": 1, "presigned": False})[0]
    created = store.now()
    with store.repository.read() as read:
        objects = read.objects([signed["object_id"], plain["object_id"]])
    for item in objects.values():
        (instance,) = item.instances
        earliest = created + (store.settings.min_presigned_url_timeout - 60) * 1_000_000
        collected = item.created + (store.settings.min_object_timeout + store.settings.object_grace) * 1_000_000
        assert earliest < instance.put_until < collected
    later = time.time_ns() // 1000 + store.settings.min_object_timeout * 1_000_000
    app.extensions[STORE] = replace(store, now=lambda: later)
    for media_object in (signed, plain):
        put = media_object["put_url"]
        assert client.put(put["url"], data=b"late", content_type=put["content-type"]).status_code == 403


@pytest.mark.parametrize("name", ["content_type", "content-type"])
def test_the_content_type_can_be_another_than_the_container(client: FlaskClient, flow_id: str, name: str) -> None:
    (item,) = allocated(client, flow_id, {"limit": 1, name: "video/mp4"})
    assert item["put_url"]["content-type"] == "video/mp4"


def test_a_backend_can_be_chosen(client: FlaskClient, store: Store, flow_id: str) -> None:
    assert len(allocated(client, flow_id, {"limit": 1, "storage_id": store.storage(None).backend.id})) == 1
    answer = client.post(f"/flows/{flow_id}/storage", json={"storage_id": new_id()})
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["storage_id"])


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"limit": 0}, ["limit"]),
        ({"limit": -1}, ["limit"]),
        ({"limit": "5"}, ["limit"]),
        ({"limit": True}, ["limit"]),
        ({"limit": 1.5}, ["limit"]),
        ({"limit": None}, ["limit"]),
        ({"limit": 1, "object_ids": ["a"]}, ["limit"]),
        ({"object_ids": "a"}, ["object_ids"]),
        ({"object_ids": ["a", "", 5, "x" * 1025]}, ["object_ids[1]", "object_ids[2]", "object_ids[3]"]),
        ({"object_ids": ["a", "b", "a", "b"]}, ["object_ids[2]", "object_ids[3]"]),
        ({"storage_id": "x"}, ["storage_id"]),
        ({"content_type": "video"}, ["content_type"]),
        ({"content-type": 5}, ["content_type"]),
        ({"presigned": "true"}, ["presigned"]),
        ({"presigned": None}, ["presigned"]),
    ],
)
def test_a_wrong_body_is_refused_and_named(client: FlaskClient, flow_id: str, body: Any, paths: list[str]) -> None:
    answer = client.post(f"/flows/{flow_id}/storage", json=body)
    assert answer.status_code == 400, answer.text
    assert sorted(answer.json["errors"]) == paths


@pytest.mark.parametrize("data", ["[]", '"a"', "5", "null", "true"])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, flow_id: str, data: str) -> None:
    answer = client.post(f"/flows/{flow_id}/storage", data=data, content_type="application/json")
    assert answer.status_code == 400


def test_unknown_properties_are_ignored(client: FlaskClient, flow_id: str) -> None:
    assert len(allocated(client, flow_id, {"limit": 1, "other": 5})) == 1


def test_ids_in_use_are_refused_and_nothing_is_allocated(client: FlaskClient, flow_id: str) -> None:
    allocated(client, flow_id, {"object_ids": ["taken"]})
    register(client, flow_id, "theirs", "[0:0_1:0)", get_urls=[{"url": "https://example.com/a", "label": "a"}])
    answer = client.post(f"/flows/{flow_id}/storage", json={"object_ids": ["new", "taken", "theirs"]})
    assert answer.status_code == 400
    assert sorted(answer.json["errors"]) == ["object_ids[1]", "object_ids[2]"]
    # Clients look for these words, which are the specification's.
    assert "already exist" in answer.json["summary"]
    assert "already exist" in answer.json["message"]
    # All or nothing: the new id is still free.
    assert len(allocated(client, flow_id, {"object_ids": ["new"]})) == 1


def test_the_flow_is_judged_first(client: FlaskClient, flow_id: str) -> None:
    path = f"/flows/{flow_id}/storage"
    assert client.post(f"/flows/{new_id()}/storage", data="not JSON").status_code == 404
    assert client.post("/flows/x/storage", json={}).status_code == 404
    assert client.put(f"/flows/{flow_id}/read_only", json=True).status_code == 204
    assert client.post(path, data="not JSON").status_code == 403
    assert client.post(path).status_code == 403


def test_a_flow_without_container_gets_no_storage(client: FlaskClient) -> None:
    bare = new_id()
    document = {"id": bare, "source_id": new_id(), "format": "urn:x-nmos:format:multi"}
    assert client.put(f"/flows/{bare}", json=document).status_code == 201
    answer = client.post(f"/flows/{bare}/storage")
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["container"])


@pytest.mark.parametrize("data", ["{}", "limit=5"])
def test_a_body_that_is_not_json_is_415(client: FlaskClient, flow_id: str, data: str) -> None:
    assert client.post(f"/flows/{flow_id}/storage", data=data, content_type="text/plain").status_code == 415
