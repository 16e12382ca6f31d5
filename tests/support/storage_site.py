"""A whole store over several Storage Backends, its background work done step by step."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from flask.testing import FlaskClient

from tams.api.context import STORE
from tams.config import Settings
from tams.domain.clock import MICROSECONDS
from tams.domain.destinations import parse_allowed
from tams.services.egress import Egress
from tams.services.objects.copies import LONGEST_COPY
from tams.services.store import Store
from tams.storage.configuration.backends import S3Configuration
from tams.storage.configuration.configured import configured_backends
from tams.storage.factory import open_storage
from tams.storage.port import Storage
from tams.worker.copies import copy_instances
from tams.worker.deletion import delete_bytes
from tests.support.api_steps import make_flow, register
from tests.support.applications import KEY, serving
from tests.support.s3_endpoint import Endpoint

FIRST = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f01"
SECOND = "0b7f6f0e-61a0-4a39-9d0f-8c8a1f3f7f02"
STORE_ID = "7c0d2a5e-11d4-4b62-9a9f-6a0c1f7e5b3d"
TYPE = "application/octet-stream"
A_DAY_LATER = LONGEST_COPY + 3600 * MICROSECONDS


def s3_backend(server: Endpoint, **options: Any) -> dict[str, Any]:
    """A backend in a bucket of its own; the options are keys of the backends file."""
    return {
        "type": "s3",
        "endpoint": server.url,
        "bucket": options.get("bucket") or server.new_bucket(),
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "product": "tests",
        **options,
    }


def backends_file(path: Path, first: dict[str, Any], second: dict[str, Any]) -> Path:
    """The backends file: `first` is the default one."""
    tables = [
        {"id": FIRST, "label": "first", "default": True, **first},
        {"id": SECOND, "label": "second", **second},
    ]
    lines = []
    for table in tables:
        lines.append("[[backend]]")
        for key, value in table.items():
            lines.append(f"{key} = {str(value).lower() if isinstance(value, (bool, int)) else repr(str(value))}")
    path.write_text("\n".join(lines))
    return path


@dataclass
class Site:
    """A store with the backends `first`, which is the default one, and `second`."""

    client: FlaskClient
    store: Store
    settings: Settings

    @property
    def first(self) -> Storage:
        return self.store.storages[FIRST]

    @property
    def second(self) -> Storage:
        return self.store.storages[SECOND]

    # What clients do

    def record(self, *contents: bytes) -> list[str]:
        """Upload them, and register each as a second of a Flow of its own; the Objects' ids."""
        object_ids = []
        for content in contents:
            flow_id = make_flow(self.client)
            (item,) = self.allocate(flow_id, 1)
            self.put(item, content)
            register(self.client, flow_id, item["object_id"], "[0:0_1:0)")
            object_ids.append(item["object_id"])
        return object_ids

    def allocate(self, flow_id: str, count: int) -> list[Any]:
        answer = self.client.post(f"/flows/{flow_id}/storage", json={"limit": count})
        assert answer.status_code == 201, answer.text
        return list(answer.json["media_objects"])

    def put(self, item: Any, content: bytes) -> None:
        url = item["put_url"]["url"]
        answer: Any
        if url.startswith("http://localhost/"):
            answer = self.client.put(url, data=content, headers={"Content-Type": TYPE})
        else:
            answer = requests.put(url, content, headers={"Content-Type": TYPE}, timeout=30)
        assert answer.status_code == 200, answer.text

    def ask_for_copy(self, object_id: str, storage_id: str = SECOND) -> None:
        answer = self.client.post(f"/objects/{object_id}/instances", json={"storage_id": storage_id})
        assert (answer.status_code, answer.data) == (201, b""), answer.text

    def delete_instance(self, object_id: str, **query: str) -> int:
        return self.client.delete(f"/objects/{object_id}/instances", query_string=query).status_code

    def delete_object(self, object_id: str) -> None:
        assert self.client.delete(f"/objects/{object_id}?cascade=true").status_code == 200

    def shown(self, object_id: str) -> dict[str, bytes]:
        """The bytes that clients get from each of the Object's URLs, by label."""
        found = {}
        for entry in self.client.get(f"/objects/{object_id}").json["get_urls"]:
            url = entry["url"]
            local = url.startswith("http://localhost/")
            found[entry["label"]] = self.client.get(url).data if local else requests.get(url, timeout=30).content
        return found

    # What the worker does

    def copy(self, worker: str = "worker") -> int:
        """Make the copies that are due; how many jobs that were."""
        egress = Egress(parse_allowed(self.settings.outbound_allow))
        count = 0
        while copy_instances(self.store, egress, worker):
            count += 1
        return count

    def delete(self, later: int = 0) -> None:
        """Delete bytes as they are due now, or would be so many microseconds later."""
        moment = self.store.now() + later
        while delete_bytes(replace(self.store, now=lambda: moment) if later else self.store, "worker"):
            pass

    def time_passes(self) -> None:
        """All leases end, and everything that was put off is due."""
        with closing(sqlite3.connect(self.settings.data_dir / "tams.db")) as database, database:
            database.execute("UPDATE jobs SET available = 0, due = 0, worker = NULL")

    def catch_up(self) -> None:
        """Everything that is queued is done, however long that takes."""
        self.time_passes()
        self.copy()
        self.time_passes()
        self.delete(later=A_DAY_LATER)
        assert self.jobs() == []

    # What there is

    def jobs(self) -> list[str]:
        """The kinds of the jobs."""
        with closing(sqlite3.connect(self.settings.data_dir / "tams.db")) as database:
            return [kind for (kind,) in database.execute("SELECT kind FROM jobs ORDER BY kind")]

    def contents(self, storage: Storage) -> list[bytes]:
        """All bytes that a backend has."""
        return sorted(b"".join(storage.open(item.key)) for item in storage.listing())

    def require_consistent(self) -> None:
        """Every key that has bytes is one of an instance, and the other way round; and no upload is unfinished."""
        for storage in self.store.storages.values():
            with self.store.repository.read() as read:
                named = [
                    instance for _, instance in read.instances_of(storage.backend.id, after=None, limit=1000).items
                ]
            assert [item.key for item in storage.listing()] == [instance.storage_key for instance in named]
            assert all(instance.ready for instance in named)
            storage.sweep(-60)
            assert storage.sweep(-60) == 0


@contextmanager
def open_site(
    directory: Path, first: dict[str, Any], second: dict[str, Any], *, timeout: float | None = None, **settings: Any
) -> Iterator[Site]:
    """A new store over these backends. Those of a single attempt get the timeout, which may be below a second."""
    directory.mkdir(exist_ok=True)
    made = Settings.from_env(
        {},
        **{
            "environment": "development",
            "data_dir": directory / "data",
            "secret_key": KEY,
            "store_id": STORE_ID,
            "storage_config": backends_file(directory / "backends.toml", first, second),
            "outbound_allow": ("127.0.0.1",),
            **settings,
        },
    )
    parts: dict[str, Any] = {} if timeout is None else {"storages": _storages(made, timeout)}
    for app in serving(made, **parts):
        yield Site(app.test_client(), app.extensions[STORE], made)


def send_with_bytes(site: Site, flow_id: str, content: bytes, timerange: str = "[0:0_1:0)") -> Any:
    """Register a Segment with its bytes in the same request."""
    parts = {
        "segment_data": (io.BytesIO(json.dumps({"timerange": timerange}).encode()), None),
        "file": (io.BytesIO(content), "media"),
    }
    return site.client.post(f"/flows/{flow_id}/segments", data=parts, content_type="multipart/form-data")


def _storages(settings: Settings, timeout: float) -> dict[str, Storage]:
    """Open the backends, those of a single attempt with the timeout, because the file has whole seconds only."""
    configurations = [
        replace(configuration, connect_timeout=timeout, read_timeout=timeout)
        if isinstance(configuration, S3Configuration) and configuration.attempts == 1
        else configuration
        for configuration in configured_backends(settings)
    ]
    return {item.backend.id: open_storage(settings, item) for item in configurations}
