"""`/health`: whether the process is alive and ready, by the results of checks in the background."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import make_url

from tams.api.context import HEALTH, STORE
from tams.app import create_app
from tams.config import Settings
from tams.services.health import HealthMonitor
from tests.support.applications import serving
from tests.support.servers import eventually

SOON = 0.1  # seconds between two checks


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """Yield an application whose parts are checked often."""
    for app in serving(settings, shared=False):
        monitor = often(app)
        yield app
        monitor.stop()


def often(app: Flask, **options: float) -> HealthMonitor:
    """Check the parts of the application's store often."""
    monitor = HealthMonitor(app.extensions[STORE], **{"interval": SOON, "write_interval": 0.0, **options})
    app.extensions[HEALTH] = monitor
    return monitor


def ready(client: FlaskClient, path: str = "/health/ready") -> tuple[int, Any]:
    answer = client.get(path)
    return answer.status_code, answer.json


def test_a_running_process_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "ok"}
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.json == {"status": "ok", "checked": ["database", "storage local"]}
        assert answer.headers["Cache-Control"] == "no-store"


def test_storage_that_cannot_be_written_is_named_and_so_is_its_return(
    client: FlaskClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    media = settings.data_dir / "media"
    assert ready(client)[0] == 200
    with caplog.at_level(logging.WARNING, "tams.services.health"):
        media.rename(settings.data_dir / "elsewhere")
        media.write_text("in the way")
        eventually(lambda: ready(client)[0] == 503, "not ready")
        for path in ("/health", "/health/ready"):
            answer = client.get(path)
            assert answer.json is not None
            assert answer.json["summary"] == "Not ready: storage local."
            assert "Retry-After" in answer.headers
        assert client.get("/health/live").status_code == 200
        time.sleep(5 * SOON)
        media.unlink()
        (settings.data_dir / "elsewhere").rename(media)
        eventually(lambda: ready(client)[0] == 200, "ready again")
    # Each change is logged once, with the directory and the next command.
    first, second = [record.getMessage() for record in caplog.records if record.name == "tams.services.health"]
    assert first.startswith("storage local does not work: Directory ")
    assert str(media) in first
    assert "tams storage check local" in first
    assert second == "storage local works again"


def test_a_database_without_its_tables_is_named(settings: Settings, tmp_path: Path) -> None:
    url = make_url(settings.database_url)
    empty = url.set(database="postgres" if url.get_backend_name() == "postgresql" else str(tmp_path / "empty.db"))
    elsewhere = replace(
        settings, database_url=empty.render_as_string(hide_password=False), vast_schema="without-tables"
    )
    app = create_app(elsewhere)
    client = app.test_client()
    eventually(lambda: "Not ready: database" in ready(client)[1]["summary"], "the database is named")
    app.extensions[HEALTH].stop()
    app.extensions[STORE].repository.close()


class TestASilentBackend:
    """A store with a local backend, and one in S3 whose server takes connections and never answers."""

    @pytest.fixture
    def app(self, settings: Settings, silent_port: int) -> Iterator[Flask]:
        both = replace(settings, storage_config=backends_file(settings, silent_port))
        settings.prepare_data_dir()
        for app in serving(both, shared=False):
            monitor = often(app, late=1.0)
            yield app
            monitor.stop()

    @pytest.fixture
    def silent_port(self) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            yield listener.getsockname()[1]

    def test_it_is_reported_as_degraded_and_takes_nothing_out(self, client: FlaskClient) -> None:
        def is_degraded() -> bool:
            status, body = ready(client)
            return status == 200 and body["status"] == "degraded" and "no result for" in body["down"][0]

        eventually(is_degraded, "degraded")
        _, body = ready(client)
        assert body["checked"] == ["database", "storage here", "storage silent"]
        assert [part.partition(" (")[0] for part in body["down"]] == ["storage silent"]

    def test_probes_take_constant_time_and_cause_no_work(self, client: FlaskClient) -> None:
        ready(client)
        threads = threading.active_count()
        began = time.monotonic()
        for _ in range(200):
            assert ready(client)[0] == 200
        assert time.monotonic() - began < 5
        assert threading.active_count() <= threads


def test_without_a_result_of_any_backend_it_is_starting_and_then_not_ready(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        alone = replace(settings, storage_config=backends_file(settings, listener.getsockname()[1], here=False))
        for app in serving(alone, shared=False):
            monitor = often(app, late=4.0)
            client = app.test_client()
            status, body = ready(client)
            assert status == 503
            assert body["summary"] == "Starting: storage silent (not checked yet)."
            eventually(partial(is_late, client), "late")
            monitor.stop()


@pytest.mark.parametrize(("write_interval", "writes"), [(0.0, True), (60.0, False)])
def test_probes_are_written_at_their_own_interval(
    settings: Settings, app: Flask, write_interval: float, writes: bool
) -> None:
    monitor = often(app, write_interval=write_interval)
    assert monitor.report().is_ready
    incoming = settings.data_dir / "media" / ".incoming"
    changed = incoming.stat().st_mtime_ns
    time.sleep(10 * SOON)
    assert (incoming.stat().st_mtime_ns != changed) is writes
    monitor.stop()


def test_the_threads_end_with_their_monitor(settings: Settings, app: Flask) -> None:
    monitor: HealthMonitor | None = HealthMonitor(replace(app.extensions[STORE]), interval=SOON)
    before = health_threads()
    assert monitor is not None
    monitor.report()
    assert health_threads() == before + 2
    monitor = None
    gc.collect()
    eventually(lambda: health_threads() == before, "no thread is left")


def health_threads() -> int:
    return len([thread for thread in threading.enumerate() if thread.name.startswith("health of")])


def is_late(client: FlaskClient) -> bool:
    return "Not ready: storage silent (no result" in ready(client)[1]["summary"]


def backends_file(settings: Settings, port: int, *, here: bool = True) -> Path:
    """Write a backends file with a backend in S3 on this port, after a local one if `here`."""
    path = settings.data_dir.parent / "backends.toml"
    local = f"""
[[backend]]
id = "6f0d0b4e-0b5c-4b0a-8f7e-000000000001"
label = "here"
type = "local"
directory = "{settings.data_dir / "here"}"
"""
    path.write_text(f"""{local if here else ""}
[[backend]]
id = "6f0d0b4e-0b5c-4b0a-8f7e-000000000002"
label = "silent"
type = "s3"
bucket = "media"
endpoint = "http://127.0.0.1:{port}"
access_key_id = "key"
secret_access_key = "secret"
""")
    return path
