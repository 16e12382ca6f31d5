"""Constraints that the engine itself enforces, whatever the code does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from tams.domain.errors import IntegrityBroken
from tams.repository.port import Read, Repository
from tams.repository.sql.migrate import migration_engine
from tests.support import factories
from tests.support.factories import seconds, uuid
from tests.support.repository_steps import fill, new_flow, put_flows, write


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """Yield a connection for plain SQL."""
    engine = migration_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


SEGMENT = (
    "INSERT INTO segments (flow_key, start_ns, end_ns, closed, object_id, object_start, object_end, object_closed,"
    " init_object_id, registered) VALUES ({key}, {start}, {end}, false, '{object}', 0, 1, false, {init}, 1)"
)


def refuses(connection: Connection, statement: str) -> bool:
    """Tell whether the engine refuses the statement."""
    with pytest.raises(IntegrityError), connection.begin():
        connection.execute(text(statement))
    return True


def test_orphans_are_refused(repository: Repository, connection: Connection) -> None:
    flow = new_flow(repository)
    (segment,) = fill(repository, flow, [seconds(0, 1)])
    ids = {"key": flow.flow_key, "object": segment.object_id, "start": 5, "end": 6, "init": "NULL"}
    for wrong in ({"key": 4711}, {"object": "unknown"}, {"init": "'unknown'"}, {"start": 6}):
        assert refuses(connection, SEGMENT.format(**{**ids, **wrong}))
    for statement in (
        f"DELETE FROM objects WHERE id = '{segment.object_id}'",
        f"DELETE FROM flow_keys WHERE key = {flow.flow_key}",
        f"DELETE FROM sources WHERE id = '{flow.source_id}'",
        f"UPDATE flows SET source_id = 'unknown' WHERE id = '{flow.id}'",
        f"UPDATE flows SET key = 4711 WHERE id = '{flow.id}'",
        "INSERT INTO object_instances (object_id, position, put_until, url, ready) VALUES ('no', 0, 0, 'u', true)",
        f"UPDATE object_instances SET storage_key = NULL WHERE object_id = '{segment.object_id}'",
        f"UPDATE objects SET kind = 'other' WHERE id = '{segment.object_id}'",
        f"UPDATE objects SET registered = NULL WHERE id = '{segment.object_id}'",
    ):
        assert refuses(connection, statement), statement
    with connection.begin():
        connection.execute(text(SEGMENT.format(**ids)))


def test_two_segments_of_a_flow_never_begin_at_the_same_instant(repository: Repository, connection: Connection) -> None:
    flow = new_flow(repository)
    (segment,) = fill(repository, flow, [seconds(0, 1)])
    assert refuses(connection, SEGMENT.format(key=flow.flow_key, start=0, end=1, object=segment.object_id, init="NULL"))


def test_rows_that_belong_to_a_flow_are_deleted_with_it(repository: Repository, connection: Connection) -> None:
    collector = new_flow(repository)
    member = factories.flow(source_id=collector.source_id, tags={"a": "1"}, collected_by=(collector.id,))
    put_flows(repository, member)
    with connection.begin():
        connection.execute(text(f"DELETE FROM flows WHERE id = '{member.id}'"))
        for table in ("flow_facets", "flow_collectors"):
            left = connection.execute(text(f"SELECT count(*) FROM {table} WHERE flow_id = '{member.id}'")).scalar()
            assert left == 0


def test_a_flow_is_not_collected_by_one_that_does_not_exist(repository: Repository) -> None:
    flow = new_flow(repository)
    orphan = factories.flow(source_id=flow.source_id, collected_by=(factories.uuid(),))
    with pytest.raises(IntegrityBroken):
        write(repository, lambda tx: tx.put_flow(orphan))


def test_a_question_of_two_statements_is_refused(repository: Repository) -> None:
    def question(read: Read) -> None:
        read.flow(uuid())
        read.source(uuid())

    with pytest.raises(IntegrityBroken, match="snapshot"):
        repository.ask(question)
    assert repository.ask(lambda read: read.flow(uuid())) is None
