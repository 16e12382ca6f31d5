"""`/health`."""

from __future__ import annotations

import shutil

from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from tams.config import Settings


def test_a_running_process_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/health/live").json == {"status": "ok"}
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "checked": ["database", "storage local"]}
    assert answer.headers["Cache-Control"] == "no-store"


def test_media_that_cannot_be_written_are_named(client: FlaskClient, settings: Settings) -> None:
    shutil.rmtree(settings.data_dir / "media")
    (settings.data_dir / "media").write_text("in the way")
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json is not None
    assert "storage local" in answer.json["summary"]
    assert "database" not in answer.json["summary"]
    assert "Retry-After" in answer.headers
    assert client.get("/health/live").status_code == 200


def test_a_database_without_its_tables_is_named(client: FlaskClient, settings: Settings) -> None:
    # Renamed and not dropped: a server's database serves the next test, too.
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE alembic_version RENAME TO away"))
    answer = client.get("/health/ready")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO alembic_version"))
    engine.dispose()
    assert answer.status_code == 503
    assert answer.json is not None
    assert "database" in answer.json["summary"]
