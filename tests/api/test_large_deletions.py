"""Deletions that are too large for one request: the response is 202, and the worker goes on."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.services.deletion import delete_requests
from tams.services.store import Store
from tams.worker.deletion import delete_segments, forget_requests
from tests.support.api_steps import exists, make_flow, record, register, reuse, source_of, timeranges

LIMIT = 4


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Let requests delete at most `LIMIT` Segments themselves."""
    return replace(settings, delete_inline_limit=LIMIT)


def finish(store: Store) -> None:
    """Let a worker carry out all requests."""
    while delete_segments(store, "worker"):
        pass


def test_a_large_flow_is_gone_at_once_and_its_segments_follow(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    source_id = source_of(client, flow_id)
    objects = record(client, flow_id, 10)
    response = client.delete(f"/flows/{flow_id}")
    assert response.status_code == 202
    accepted = response.json
    assert response.headers["Location"] == f"http://localhost/flow-delete-requests/{accepted['id']}"
    assert (accepted["flow_id"], accepted["delete_flow"], accepted["status"]) == (flow_id, True, "created")
    assert accepted["timerange_to_delete"] == accepted["timerange_remaining"] == "[0:0_10:0)"
    assert not exists(client, f"/flows/{flow_id}")
    assert not exists(client, f"/sources/{source_id}")
    assert timeranges(client, flow_id) == []
    assert client.get("/flows").json == []
    finish(store)
    done = client.get(f"/flow-delete-requests/{accepted['id']}").json
    assert (done["status"], done["timerange_remaining"]) == ("done", "()")
    assert not any(exists(client, f"/objects/{object_id}") for object_id in objects)


def test_progress_shows_in_what_remains(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 10)
    request_id = client.delete(f"/flows/{flow_id}").json["id"]
    assert delete_requests.advance(store, request_id, 3)
    body = client.get(f"/flow-delete-requests/{request_id}").json
    assert (body["status"], body["timerange_remaining"]) == ("started", "[3:0_10:0)")


def test_a_new_flow_of_the_same_id_is_not_touched(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 10)
    assert client.delete(f"/flows/{flow_id}").status_code == 202
    make_flow(client, flow_id)
    record(client, flow_id, 3)
    finish(store)
    assert len(timeranges(client, flow_id)) == 3
    assert client.get(f"/flows/{flow_id}?include_timerange=true").json["timerange"] == "[0:0_3:0)"


def test_a_range_deletion_spares_what_is_registered_later(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 10)
    response = client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_100:0)")
    assert response.status_code == 202
    assert response.json["timerange_to_delete"] == "[0:0_100:0)"
    assert response.json["delete_flow"] is False
    record(client, flow_id, 2, start=50)
    finish(store)
    assert timeranges(client, flow_id) == ["[50:0_51:0)", "[51:0_52:0)"]


def test_what_is_not_yet_removed_is_visible_and_blocks(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    objects = record(client, flow_id, 10)
    client.delete(f"/flows/{flow_id}/segments")
    assert timeranges(client, flow_id) == [f"[{n}:0_{n + 1}:0)" for n in range(LIMIT, 10)]
    response = client.post(f"/flows/{flow_id}/segments", json={"object_id": objects[9], "timerange": "[9:0_10:0)"})
    assert response.status_code == 400
    finish(store)
    assert timeranges(client, flow_id) == []


def test_an_object_filter_is_kept_with_the_request(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    (object_id,) = record(client, flow_id, 1)
    for n in range(1, 12):
        register(client, flow_id, object_id, f"[{n}:0_{n + 1}:0)", ts_offset=f"{n}:0")
    record(client, flow_id, 3, start=100)
    assert client.delete(f"/flows/{flow_id}/segments?object_id={object_id}").status_code == 202
    finish(store)
    assert len(timeranges(client, flow_id)) == 3
    assert not exists(client, f"/objects/{object_id}")


def test_without_cascade_a_batch_stops_at_a_last_reference(client: FlaskClient, store: Store) -> None:
    first, second = make_flow(client), make_flow(client)
    objects = record(client, first, 10)
    reuse(client, second, objects[:8])
    response = client.delete(f"/flows/{first}/segments?cascade=false")
    assert response.status_code == 202
    finish(store)
    ended = client.get(f"/flow-delete-requests/{response.json['id']}").json
    assert ended["status"] == "error"
    assert "last reference" in ended["error"]["summary"]
    assert exists(client, f"/objects/{objects[9]}")
    assert timeranges(client, first)[-1] == "[9:0_10:0)"


def test_a_source_is_deleted_by_one_request_for_each_flow(client: FlaskClient, store: Store) -> None:
    source_id = new_id()
    flows = [make_flow(client, source_id=source_id) for _ in range(3)]
    for flow_id in flows[:2]:
        record(client, flow_id, 10)
    response = client.delete(f"/sources/{source_id}?cascade=true")
    assert response.status_code == 202
    assert response.headers["Location"] == "http://localhost/flow-delete-requests"
    assert len(response.json["requests"]) == 2
    assert not exists(client, f"/sources/{source_id}")
    assert not any(exists(client, f"/flows/{flow_id}") for flow_id in flows)
    finish(store)
    listed = client.get("/flow-delete-requests").json
    assert {(item["id"], item["status"]) for item in listed} == {
        (request_id, "done") for request_id in response.json["requests"]
    }


def test_an_object_is_deleted_by_one_request_for_each_flow(client: FlaskClient, store: Store) -> None:
    flows = [make_flow(client) for _ in range(3)]
    (object_id,) = record(client, flows[0], 1)
    for flow_id in flows:
        for n in range(1, 6):
            register(client, flow_id, object_id, f"[{n}:0_{n + 1}:0)", ts_offset=f"{n}:0")
    response = client.delete(f"/objects/{object_id}?cascade=true")
    assert response.status_code == 202
    register(client, flows[2], object_id, "[100:0_101:0)", ts_offset="100:0")
    finish(store)
    assert [timeranges(client, flow_id) for flow_id in flows] == [[], [], ["[100:0_101:0)"]]
    assert client.get(f"/objects/{object_id}").json["referenced_by_flows"] == [flows[2]]


def test_several_workers_share_a_deletion(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    objects = record(client, flow_id, 60)
    request_id = client.delete(f"/flows/{flow_id}").json["id"]

    def work() -> None:
        while delete_requests.advance(store, request_id, 3):
            pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get(f"/flow-delete-requests/{request_id}").json["status"] == "done"
    assert not any(exists(client, f"/objects/{object_id}") for object_id in objects)


def test_ended_requests_can_be_read_for_a_day(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 10)
    request_id = client.delete(f"/flows/{flow_id}").json["id"]
    assert "expiry" not in client.get(f"/flow-delete-requests/{request_id}").json
    finish(store)
    assert not forget_requests(store, "worker")
    body = client.get(f"/flow-delete-requests/{request_id}").json
    lifetime = datetime.fromisoformat(body["expiry"]) - datetime.fromisoformat(body["updated"])
    assert lifetime == timedelta(days=1)


def test_requests_are_forgotten_when_they_expire(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    record(client, flow_id, 10)
    request_id = client.delete(f"/flows/{flow_id}").json["id"]
    finish(replace(store, settings=replace(store.settings, delete_request_retention=0)))
    assert forget_requests(store, "worker")
    assert not exists(client, f"/flow-delete-requests/{request_id}")
    assert client.get("/flow-delete-requests").json == []


def test_requests_are_listed_page_by_page(client: FlaskClient, store: Store) -> None:
    ids = []
    for _ in range(3):
        flow_id = make_flow(client)
        record(client, flow_id, 10)
        ids.append(client.delete(f"/flows/{flow_id}").json["id"])
    request_ids: list[Any] = []
    url = "/flow-delete-requests?limit=2"
    while url:
        response = client.get(url)
        request_ids += [item["id"] for item in response.json]
        link = response.headers.get("Link")
        url = link[1 : link.index(">")] if link else ""
    assert request_ids == ids[::-1]
    assert [item["id"] for item in client.get("/flow-delete-requests?reverse_order=true").json] == ids
    assert client.get("/flow-delete-requests?sort_by=size").status_code == 400
