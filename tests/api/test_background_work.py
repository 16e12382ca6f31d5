"""The worker's deletion of bytes and of unused storage, step by step, on the store behind the API."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.clock import MICROSECONDS
from tams.services.store import Store
from tams.worker.deletion import LONGEST_UPLOAD, collect_allocations, delete_bytes, sweep_uploads
from tests.support.api_steps import allocate, exists, make_flow, record, register

URL_SECONDS = 2


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Let upload URLs expire soon, so that a test can wait for that."""
    return replace(settings, min_presigned_url_timeout=URL_SECONDS, object_grace=0)


def upload(client: FlaskClient, flow_id: str) -> tuple[str, str]:
    """Allocate storage and upload bytes; return the Object's id and the URL for PUT."""
    (item,) = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"]
    url = item["put_url"]["url"]
    put(client, url)
    return item["object_id"], url


def put(client: FlaskClient, url: str) -> None:
    answer = client.put(url, data=b"media", headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 200, answer.text


def stored(settings: Settings) -> list[Path]:
    """Return the files of media, and records whose media are gone."""
    files = [path for path in (settings.data_dir / "media").rglob("*") if path.is_file()]
    return [path for path in files if path.suffix != ".meta" or path.with_suffix("") not in files]


def later(store: Store, seconds: int) -> Store:
    """Return the store with its clock set forward by `seconds`."""
    moment = store.now() + seconds * MICROSECONDS
    return replace(store, now=lambda: moment)


def test_bytes_follow_their_record(client: FlaskClient, store: Store, settings: Settings) -> None:
    flow_id = make_flow(client)
    object_id, _ = upload(client, flow_id)
    register(client, flow_id, object_id, "[0:0_1:0)")
    assert len(stored(settings)) == 1
    client.delete(f"/flows/{flow_id}")
    assert len(stored(settings)) == 1
    delete_bytes(store, "worker")
    assert stored(settings) == []


def test_bytes_written_after_the_deletion_go_too(client: FlaskClient, store: Store, settings: Settings) -> None:
    flow_id = make_flow(client)
    object_id, url = upload(client, flow_id)
    client.delete(f"/objects/{object_id}")
    delete_bytes(store, "worker")
    # The URL for PUT is still valid.
    put(client, url)
    assert len(stored(settings)) == 1
    deadline = time.monotonic() + 30
    while stored(settings) and time.monotonic() < deadline:
        delete_bytes(store, "worker")
        time.sleep(0.1)
    assert stored(settings) == []


def test_a_backend_that_is_down_delays_a_deletion(client: FlaskClient, store: Store, settings: Settings) -> None:
    flow_id = make_flow(client)
    object_id, _ = upload(client, flow_id)
    client.delete(f"/objects/{object_id}")
    media = settings.data_dir / "media"
    away = media.rename(media.with_name("away"))
    delete_bytes(store, "worker")
    away.rename(media)
    assert len(stored(settings)) == 1
    deadline = time.monotonic() + 30
    while stored(settings) and time.monotonic() < deadline:
        delete_bytes(store, "worker")
        time.sleep(0.1)
    assert stored(settings) == []


def test_storage_that_was_never_registered_is_collected(client: FlaskClient, store: Store, settings: Settings) -> None:
    flow_id = make_flow(client)
    (object_id,) = allocate(client, flow_id)
    collect_allocations(later(store, settings.min_object_timeout + 10))
    assert client.delete(f"/objects/{object_id}").status_code == 404
    answer = client.post(f"/flows/{flow_id}/segments", json={"object_id": object_id, "timerange": "[0:0_1:0)"})
    assert answer.status_code == 400


def test_storage_is_kept_until_min_object_timeout(client: FlaskClient, store: Store, settings: Settings) -> None:
    flow_id = make_flow(client)
    (object_id,) = allocate(client, flow_id)
    collect_allocations(later(store, settings.min_object_timeout - 10))
    register(client, flow_id, object_id, "[0:0_1:0)")
    assert exists(client, f"/objects/{object_id}")


def test_what_is_registered_is_never_collected(client: FlaskClient, store: Store, settings: Settings) -> None:
    flow_id = make_flow(client)
    objects = record(client, flow_id, 3)
    collect_allocations(later(store, settings.min_object_timeout * 10))
    assert all(exists(client, f"/objects/{object_id}") for object_id in objects)


def test_an_object_id_may_be_used_again_after_its_deletion(
    client: FlaskClient, store: Store, settings: Settings
) -> None:
    flow_id = make_flow(client)
    object_id, _ = upload(client, flow_id)
    client.delete(f"/objects/{object_id}")
    answer = client.post(f"/flows/{flow_id}/storage", json={"object_ids": [object_id]})
    put(client, answer.json["media_objects"][0]["put_url"]["url"])
    register(client, flow_id, object_id, "[0:0_1:0)")
    # The deletion of the first bytes names their storage key, so it does not touch the new ones.
    time.sleep(URL_SECONDS + 1)
    delete_bytes(store, "worker")
    assert len(stored(settings)) == 1
    (url,) = client.get(f"/objects/{object_id}").json["get_urls"]
    assert client.get(url["url"]).data == b"media"


def test_what_a_killed_upload_left_is_swept(store: Store, settings: Settings) -> None:
    incoming = settings.data_dir / "media" / ".incoming"
    young, old = incoming / ("a" * 32), incoming / ("b" * 32)
    for path in (young, old):
        path.write_bytes(b"half of it")
    long_ago = time.time() - LONGEST_UPLOAD - 60
    os.utime(old, (long_ago, long_ago))
    sweep_uploads(store)
    assert (young.exists(), old.exists()) == (True, False)
