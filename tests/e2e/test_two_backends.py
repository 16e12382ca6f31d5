"""Real media in two buckets: copied to the second, read from there, deleted from the first, also if workers die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import s3_endpoint
from tests.support.bucket_store import keys_of
from tests.support.faulty_proxy import FaultyProxy, proxy_before
from tests.support.http_client import WAVE, Client, segment
from tests.support.media import SECOND, Cut, Span
from tests.support.real_media import Archive, ingest, programme
from tests.support.s3_endpoint import Endpoint
from tests.support.servers import TamsStore, eventually

pytestmark = pytest.mark.e2e

FIRST, SECOND_ID = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f01", "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f02"
TAMS = Path(sys.executable).with_name("tams")


@dataclass
class Site:
    """A store with two buckets of one server, which it reaches through a proxy."""

    store: TamsStore
    proxy: FaultyProxy
    variables: dict[str, str]
    s3: Any
    buckets: tuple[str, str]

    @property
    def client(self) -> Client:
        return Client(self.store.url)

    def keys(self) -> tuple[int, int]:
        """Return the number of keys in each bucket."""
        first, second = (len(keys_of(self.s3, bucket)) for bucket in self.buckets)
        return first, second

    def labels(self, object_id: str) -> list[str]:
        """Return the labels of the Object's URLs."""
        return [entry["label"] for entry in self.client.get(f"/objects/{object_id}")["get_urls"]]

    def copy(self, object_ids: list[str], storage_id: str = SECOND_ID) -> None:
        """Request a copy of each Object."""
        client = self.client
        for object_id in object_ids:
            client.expect(201, "POST", f"/objects/{object_id}/instances", json={"storage_id": storage_id})

    def reconcile(self) -> subprocess.CompletedProcess[str]:
        """Run `tams storage reconcile` as an operator does."""
        return subprocess.run(
            [TAMS, "storage", "reconcile", "--data-dir", self.store.data],
            env=self.variables | {"ENVIRONMENT": "development", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Run an S3 server."""
    with s3_endpoint.running() as server:
        yield server


@pytest.fixture
def site(endpoint: Endpoint, tmp_path: Path) -> Iterator[Site]:
    """Prepare a store that a test starts; the lease of a killed worker's jobs ends after five seconds."""
    proxy = proxy_before(endpoint)
    buckets = (endpoint.new_bucket(), endpoint.new_bucket())
    configuration = tmp_path / "backends.toml"
    configuration.write_text(
        "\n".join(
            f'[[backend]]\ntype = "s3"\nid = "{storage_id}"\nlabel = "{label}"\ndefault = {default}\n'
            f'endpoint = "{proxy.url}"\nbucket = "{bucket}"\n'
            f'access_key_id = "{endpoint.access_key}"\nsecret_access_key = "{endpoint.secret_key}"\n'
            for storage_id, label, default, bucket in (
                (FIRST, "first", "true", buckets[0]),
                (SECOND_ID, "second", "false", buckets[1]),
            )
        )
    )
    variables = {"TAMS_STORAGE_CONFIG": str(configuration), "TAMS_JOB_LEASE": "5"}
    store = TamsStore(tmp_path, **variables)
    yield Site(store, proxy, variables, endpoint.client, buckets)
    store.kill()
    proxy.stop()


@pytest.mark.xdist_group("two backends")
def test_a_recording_moves_from_one_backend_to_the_other(site: Site, recording: list[Cut], sound: list[bytes]) -> None:
    site.store.start()
    archive: Archive = ingest(site.client, recording, sound)
    objects = archive.objects + archive.waves
    assert site.keys() == (42, 0)

    site.copy(objects)
    eventually(lambda: site.keys() == (42, 42), "everything is copied")
    eventually(lambda: all(len(site.labels(object_id)) == 2 for object_id in objects), "all copies are shown")
    for item in site.client.segments(archive.wave, accept_get_urls="second"):
        assert [entry["label"] for entry in item["get_urls"]] == ["second"]
        assert site.buckets[1] in item["get_urls"][0]["url"]

    client = site.client
    for object_id in objects:
        client.expect(204, "DELETE", f"/objects/{object_id}/instances", params={"storage_id": FIRST})
    eventually(lambda: site.keys() == (0, 42), "the first backend is empty")
    client.expect(400, "DELETE", f"/objects/{objects[0]}/instances", params={"label": "second"})

    # Players still show the same media.
    assert len(archive.client.watch(archive.video, programme(0, 60))) == 1500
    assert [archive.client.fetch(item) for item in archive.client.segments(archive.wave)] == sound
    process = site.reconcile()
    assert (process.returncode, process.stderr) == (0, ""), process.stdout
    assert "42 keys with bytes, 42 instances: 0 orphaned (0 deleted), 0 missing" in process.stdout

    for flow_id in (archive.multi, archive.video, archive.audio, archive.wave):
        client.expect(204, "DELETE", f"/flows/{flow_id}")
    eventually(lambda: site.keys() == (0, 0), "both backends are empty")
    site.store.stop()
    assert site.store.errors() == []


def record(client: Client, count: int) -> tuple[str, list[str]]:
    """Record `count` Objects of a second into a new Flow; return the ids of the Flow and of the Objects."""
    flow_id = client.make_flow(WAVE)
    objects = client.upload(flow_id, [f"sound {number}".encode() for number in range(count)])
    spans = [Span(number * SECOND, (number + 1) * SECOND) for number in range(count)]
    client.register(
        flow_id, [segment(object_id, span, span.start) for object_id, span in zip(objects, spans, strict=True)]
    )
    return flow_id, objects


def copy_requests(site: Site) -> int:
    return [step.operation for step in site.proxy.steps].count("copy_object")


@pytest.mark.parametrize("fault", ["hang", "hang after"])
def test_a_worker_killed_while_it_copies_is_replaced(site: Site, fault: str) -> None:
    site.store.start("--no-worker")
    _, objects = record(site.client, 8)
    with site.proxy.failing("copy_object", fault):
        site.copy(objects)
        site.store.start_worker()
        eventually(lambda: copy_requests(site) == 4, "the worker is in the middle of four copies")
        site.store.kill_worker()
    assert all(site.labels(object_id) == ["first"] for object_id in objects)
    site.store.start_worker()
    eventually(lambda: all(len(site.labels(object_id)) == 2 for object_id in objects), "another one has copied all")
    assert site.keys() == (8, 8)
    assert site.reconcile().returncode == 0
    site.store.stop()
    assert site.store.errors() == []


@pytest.mark.parametrize("fault", ["hang", "hang after"])
def test_a_deletion_while_the_worker_is_dead_leaves_nothing(site: Site, fault: str) -> None:
    site.store.start("--no-worker")
    client = site.client
    flow_id, objects = record(client, 8)
    with site.proxy.failing("copy_object", fault):
        site.copy(objects)
        site.store.start_worker()
        eventually(lambda: copy_requests(site) == 4, "the worker is in the middle of four copies")
        site.store.kill_worker()
    object_id = objects.pop()
    client.expect(204, "DELETE", f"/objects/{object_id}/instances", params={"label": "second"})
    client.expect(204, "DELETE", f"/flows/{flow_id}/segments", params={"object_id": objects[0]})
    client.expect(204, "DELETE", f"/flows/{flow_id}/segments", params={"timerange": "[0:0_7:0)"})
    site.store.start_worker()
    eventually(lambda: "copy-instance" not in site.store.job_kinds(), "all copy jobs have ended")
    eventually(lambda: site.keys() == (1, 0), "only one key is left")
    assert site.reconcile().returncode == 0
    site.store.stop()
    assert site.store.errors() == []
