"""A PostgreSQL that is lost and comes back: 503 meanwhile, and no restart of the store afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import NullPool, create_engine, make_url, text

from tams.api.context import HEALTH, STORE
from tams.config import Settings
from tams.services.health import HealthMonitor
from tests.support.api_steps import make_flow
from tests.support.applications import KEY, serving
from tests.support.databases import NewDatabase
from tests.support.servers import eventually


@pytest.fixture
def settings(new_postgresql: NewDatabase, tmp_path: Path) -> Settings:
    """Configure a store on PostgreSQL, whichever database the other tests use."""
    environment = {"TAMS_DATABASE_URL": new_postgresql()}
    return Settings.from_env(environment, environment="development", data_dir=tmp_path, secret_key=KEY)


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    """Yield a client of that store."""
    for app in serving(settings, shared=False):
        monitor = app.extensions[HEALTH] = HealthMonitor(app.extensions[STORE], interval=0.1)
        yield app.test_client()
        monitor.stop()


@contextmanager
def out_of_reach(url: str) -> Iterator[None]:
    """Close all connections to the database, and refuse new ones."""
    here = make_url(url)
    engine = create_engine(here.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def allow(answer: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {here.database} ALLOW_CONNECTIONS {answer}"))

    allow("false")
    try:
        with engine.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": here.database},
            ).all()
        yield
    finally:
        allow("true")


def test_a_database_that_is_away_is_503_until_it_is_back(client: FlaskClient, settings: Settings) -> None:
    path = f"/flows/{make_flow(client)}"
    with out_of_reach(settings.database_url):
        eventually(lambda: client.get("/health/ready").status_code == 503, "not ready")
        for answer in (client.get(path), client.put(f"{path}/label", json="x"), client.get("/health/ready")):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
        assert client.get("/health/live").status_code == 200
    assert client.get(path).status_code == 200
    assert client.put(f"{path}/label", json="after").status_code == 204
    assert client.get(f"{path}/label").json == "after"
    eventually(lambda: client.get("/health/ready").status_code == 200, "ready")
