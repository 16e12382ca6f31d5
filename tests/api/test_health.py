"""`/health`: whether the process is alive and ready."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from flask.testing import FlaskClient
from sqlalchemy import make_url

from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings


def test_a_running_process_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "ok"}
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "checked": ["database", "storage local"]}
    assert answer.headers["Cache-Control"] == "no-store"


def test_storage_that_cannot_be_written_is_named(client: FlaskClient, settings: Settings) -> None:
    shutil.rmtree(settings.data_dir / "media")
    (settings.data_dir / "media").write_text("in the way")
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json is not None
    assert "storage local" in answer.json["summary"]
    assert "database" not in answer.json["summary"]
    assert "Retry-After" in answer.headers
    assert client.get("/health/live").status_code == 200


def test_a_database_without_its_tables_is_named(settings: Settings, tmp_path: Path) -> None:
    url = make_url(settings.database_url)
    empty = url.set(database="postgres" if url.get_backend_name() == "postgresql" else str(tmp_path / "empty.db"))
    elsewhere = replace(
        settings, database_url=empty.render_as_string(hide_password=False), vast_schema="without-tables"
    )
    app = create_app(elsewhere)
    answer = app.test_client().get("/health/ready")
    app.extensions[STORE].repository.close()
    assert answer.status_code == 503
    assert answer.json is not None
    assert "database" in answer.json["summary"]
