"""A whole store over two Storage Backends, whose background work a test runs step by step."""

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
    """Return the table of a backend with a new bucket for the backends file; the options are keys of that table."""
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
    """Write the backends file; `first` is the default backend."""
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
    """A store with the backends `first`, which is the default, and `second`."""

    client: FlaskClient
    store: Store
    settings: Settings

    @property
    def first(self) -> Storage:
        return self.store.storages[FIRST]

    @property
    def second(self) -> Storage:
        return self.store.storages[SECOND]

    # Requests of clients

    def record(self, *contents: bytes) -> list[str]:
        """Upload the contents, and register each as one second of a separate Flow; return the Objects' ids."""
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

    def downloads(self, object_id: str) -> dict[str, bytes]:
        """Return the bytes that clients get from each of the Object's URLs, by label."""
        contents = {}
        for entry in self.client.get(f"/objects/{object_id}").json["get_urls"]:
            url = entry["url"]
            local = url.startswith("http://localhost/")
            contents[entry["label"]] = self.client.get(url).data if local else requests.get(url, timeout=30).content
        return contents

    # The work of the worker

    def copy(self, worker: str = "worker") -> int:
        """Make the copies that are due; return the number of rounds that found any."""
        egress = Egress(parse_allowed(self.settings.outbound_allow))
        count = 0
        while copy_instances(self.store, egress, worker):
            count += 1
        return count

    def delete(self, later: int = 0) -> None:
        """Delete the bytes that are due now, or that will be due `later` microseconds from now."""
        moment = self.store.now() + later
        while delete_bytes(replace(self.store, now=lambda: moment) if later else self.store, "worker"):
            pass

    def time_passes(self) -> None:
        """End all leases, and make every delayed job due."""
        with closing(sqlite3.connect(self.settings.data_dir / "tams.db")) as database, database:
            database.execute("UPDATE jobs SET available = 0, due = 0, worker = NULL")

    def catch_up(self) -> None:
        """Run all queued jobs, also those that are due only a day later."""
        self.time_passes()
        self.copy()
        self.time_passes()
        self.delete(later=A_DAY_LATER)
        assert self.jobs() == []

    # The state of the store

    def jobs(self) -> list[str]:
        """Return the kinds of the queued jobs."""
        with closing(sqlite3.connect(self.settings.data_dir / "tams.db")) as database:
            return [kind for (kind,) in database.execute("SELECT kind FROM jobs ORDER BY kind")]

    def contents(self, storage: Storage) -> list[bytes]:
        """Return the contents of every key of a backend."""
        return sorted(b"".join(storage.open(item.key)) for item in storage.listing())

    def require_consistent(self) -> None:
        """Check that exactly the keys of instances have bytes, and that no upload is unfinished."""
        for storage in self.store.storages.values():
            with self.store.repository.read() as read:
                instances = [
                    instance for _, instance in read.instances_of(storage.backend.id, after=None, limit=1000).items
                ]
            assert [item.key for item in storage.listing()] == [instance.storage_key for instance in instances]
            assert all(instance.ready for instance in instances)
            storage.sweep(-60)
            assert storage.sweep(-60) == 0


@contextmanager
def open_site(
    directory: Path, first: dict[str, Any], second: dict[str, Any], *, timeout: float | None = None, **settings: Any
) -> Iterator[Site]:
    """Open a new store over these backends.

    Backends of a single attempt get the timeout, which may be a fraction of a second.
    """
    directory.mkdir(exist_ok=True)
    site_settings = Settings.from_env(
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
    parts: dict[str, Any] = {} if timeout is None else {"storages": _storages(site_settings, timeout)}
    for app in serving(site_settings, **parts):
        yield Site(app.test_client(), app.extensions[STORE], site_settings)


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
