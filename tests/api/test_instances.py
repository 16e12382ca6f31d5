"""`/objects/{objectId}/instances`: adding and removing instances of an Object."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.get_urls import LABEL_TAKEN
from tams.domain.identifiers import new_id
from tams.services.store import Store
from tests.support.api_steps import make_flow, record, register

THEIRS = {"url": "https://example.com/a", "label": "theirs"}


@pytest.fixture
def object_id(client: FlaskClient) -> str:
    """Register an Object with bytes in the default Storage Backend."""
    return record(client, make_flow(client), 1)[0]


def labels(client: FlaskClient, object_id: str) -> list[str]:
    """Return the labels of the Object's URLs."""
    return [entry["label"] for entry in client.get(f"/objects/{object_id}").json["get_urls"]]


def test_a_url_is_added(client: FlaskClient, object_id: str) -> None:
    answer = client.post(f"/objects/{object_id}/instances", json=THEIRS)
    assert (answer.status_code, answer.data) == (201, b"")
    assert client.get(f"/objects/{object_id}").json["get_urls"][1] == THEIRS


def test_the_same_url_is_not_added_twice(client: FlaskClient, object_id: str) -> None:
    for _ in range(2):
        assert client.post(f"/objects/{object_id}/instances", json=THEIRS).status_code == 201
    assert labels(client, object_id).count("theirs") == 1


def test_a_label_names_one_instance(client: FlaskClient, store: Store, object_id: str) -> None:
    client.post(f"/objects/{object_id}/instances", json=THEIRS)
    for label in ("theirs", store.storage(None).backend.label):
        answer = client.post(f"/objects/{object_id}/instances", json={"url": "https://example.com/b", "label": label})
        # The answer does not say which of both has the label, because the Storage Backend may be hidden.
        assert (answer.status_code, answer.json["errors"]) == (400, {"label": [LABEL_TAKEN]})
    assert len(labels(client, object_id)) == 2


def test_a_new_object_takes_no_label_of_a_backend_nor_one_label_twice(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    for taken in ("theirs", store.storage(None).backend.label):
        urls = [THEIRS, {"url": "https://example.com/b", "label": taken}]
        segment = {"object_id": "new", "timerange": "[9:0_10:0)", "get_urls": urls}
        answer = client.post(f"/flows/{flow_id}/segments", json=segment)
        assert (answer.status_code, answer.json["errors"]) == (400, {"get_urls[1].label": [LABEL_TAKEN]})


def test_an_existing_instance_is_not_made_again(client: FlaskClient, store: Store, object_id: str) -> None:
    backend = store.storage(None).backend
    before = client.get(f"/objects/{object_id}").json["get_urls"]
    assert client.post(f"/objects/{object_id}/instances", json={"storage_id": backend.id}).status_code == 201
    assert len(client.get(f"/objects/{object_id}").json["get_urls"]) == len(before)


def test_an_unknown_backend_is_refused(client: FlaskClient, object_id: str) -> None:
    answer = client.post(f"/objects/{object_id}/instances", json={"storage_id": new_id()})
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["storage_id"])


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, ["label", "url"]),
        ({"url": "https://example.com"}, ["label"]),
        ({"label": "a"}, ["url"]),
        ({"url": "x", "label": "a"}, ["url"]),
        ({"url": "https://example.com", "label": "a,b"}, ["label"]),
        ({"url": "https://example.com", "label": ""}, ["label"]),
        ({"url": 5, "label": None}, ["label", "url"]),
        ({"storage_id": "x"}, ["storage_id"]),
        ({"storage_id": None}, ["storage_id"]),
        ({"storage_id": "d1a1a1a1-1111-4111-8111-111111111111", **THEIRS}, ["storage_id"]),
    ],
)
def test_a_body_of_neither_form_is_refused(client: FlaskClient, object_id: str, body: Any, paths: list[str]) -> None:
    answer = client.post(f"/objects/{object_id}/instances", json=body)
    assert answer.status_code == 400, answer.text
    assert sorted(answer.json["errors"]) == paths


def test_a_url_is_removed_by_its_label(client: FlaskClient, object_id: str) -> None:
    client.post(f"/objects/{object_id}/instances", json=THEIRS)
    answer = client.delete(f"/objects/{object_id}/instances?label=theirs")
    assert (answer.status_code, answer.data) == (204, b"")
    assert "theirs" not in labels(client, object_id)


@pytest.mark.parametrize("by", ["storage_id", "label"])
def test_controlled_bytes_go_with_their_instance(client: FlaskClient, store: Store, by: str) -> None:
    flow_id = make_flow(client)
    allocation = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"][0]
    put = allocation["put_url"]
    assert client.put(put["url"], data=b"media", content_type=put["content-type"]).status_code == 200
    object_id = allocation["object_id"]
    register(client, flow_id, object_id, "[0:0_1:0)")
    client.post(f"/objects/{object_id}/instances", json=THEIRS)
    backend = store.storage(None).backend
    name = {"storage_id": backend.id, "label": backend.label}[by]
    assert client.delete(f"/objects/{object_id}/instances", query_string={by: name}).status_code == 204
    assert labels(client, object_id) == ["theirs"]
    # The same transaction has queued the deletion of the bytes, which the worker carries out.
    jobs = store.repository.lease("delete-bytes", "test", 10, 60)
    assert [job.payload["storage_id"] for job in jobs] == [backend.id]
    assert jobs[0].job_id in put["url"]


def test_the_last_instance_stays(client: FlaskClient, store: Store, object_id: str) -> None:
    backend = store.storage(None).backend
    for query in ({"storage_id": backend.id}, {"label": backend.label}):
        answer = client.delete(f"/objects/{object_id}/instances", query_string=query)
        assert (answer.status_code, list(answer.json["errors"])) == (400, list(query))
    assert labels(client, object_id) == [backend.label]


@pytest.mark.parametrize("query", ["", "storage_id=d1a1a1a1-1111-4111-8111-111111111111&label=theirs"])
def test_exactly_one_parameter_names_the_instance(client: FlaskClient, object_id: str, query: str) -> None:
    client.post(f"/objects/{object_id}/instances", json=THEIRS)
    answer = client.delete(f"/objects/{object_id}/instances?{query}")
    assert (answer.status_code, sorted(answer.json["errors"])) == (400, ["label", "storage_id"])
    assert len(labels(client, object_id)) == 2


def test_an_instance_that_is_not_there_is_not_found(client: FlaskClient, object_id: str) -> None:
    client.post(f"/objects/{object_id}/instances", json=THEIRS)
    for query in ("label=other", "label=", f"storage_id={new_id()}"):
        assert client.delete(f"/objects/{object_id}/instances?{query}").status_code == 404
    assert client.delete(f"/objects/{object_id}/instances?storage_id=x").status_code == 400
    assert len(labels(client, object_id)) == 2
