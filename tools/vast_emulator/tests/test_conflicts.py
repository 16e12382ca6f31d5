"""Two transactions that change the same thing, under every conflict model."""

import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from vastdb import errors
from vastdb.session import Session
from vastdb.table_metadata import TableMetadata

from tools.vast_emulator.emulator import BUCKET, Emulator
from tools.vast_emulator.tests.steps import (
    SCHEMA,
    connect,
    create,
    delete_name,
    insert,
    opened,
    read,
    rows,
    set_number,
    with_ids,
)

pytestmark = pytest.mark.vast


@pytest.fixture
def table(session: Session) -> TableMetadata:
    """Create a table with one row."""
    metadata = create(session, "t")
    insert(session, metadata, ("a", 1))
    return metadata


def test_409_at_the_statement_while_the_other_is_open(
    emulator: Emulator, session: Session, table: TableMetadata
) -> None:
    emulator.settings.update({"row_conflicts": "statement"})
    with session.transaction() as first, session.transaction() as second:
        set_number(emulator, first, table, "a", 10)
        with pytest.raises(errors.Conflict):
            set_number(emulator, second, table, "a", 20)
    assert read(emulator, session, table) == [("a", 10)]


def test_409_at_the_statement_after_the_other_was_committed(
    emulator: Emulator, session: Session, table: TableMetadata
) -> None:
    emulator.settings.update({"row_conflicts": "statement"})
    with session.transaction() as slow:
        with session.transaction() as quick:
            set_number(emulator, quick, table, "a", 10)
        with pytest.raises(errors.Conflict):
            delete_name(emulator, slow, table, "a")
    assert read(emulator, session, table) == [("a", 10)]


def test_a_rollback_lets_the_other_go_on(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.settings.update({"row_conflicts": "statement"})
    with session.transaction() as second:
        first = int(session.api.begin_transaction().headers["tabular-txid"])
        with session.transaction() as reader:
            ids = with_ids(emulator, reader, table)
        other = session.transaction()
        other.txid = first
        opened(other, table).update(ids, columns=["number"])
        with pytest.raises(errors.Conflict):
            set_number(emulator, second, table, "a", 20)
        session.api.rollback_transaction(first)
        set_number(emulator, second, table, "a", 20)
    assert read(emulator, session, table) == [("a", 20)]


def test_409_at_the_commit(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.settings.update({"row_conflicts": "commit"})

    def write_both() -> None:
        with session.transaction() as slow:
            set_number(emulator, slow, table, "a", 20)
            with session.transaction() as quick:
                set_number(emulator, quick, table, "a", 10)

    with pytest.raises(errors.Conflict):
        write_both()
    assert read(emulator, session, table) == [("a", 10)]
    assert emulator.engine.open_transactions == []


def test_the_last_writer_wins(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.settings.update({"row_conflicts": "last_writer_wins"})
    with session.transaction() as slow:
        set_number(emulator, slow, table, "a", 20)
        with session.transaction() as quick:
            set_number(emulator, quick, table, "a", 10)
    assert read(emulator, session, table) == [("a", 20)]


def test_the_last_writer_does_not_bring_a_deleted_row_back(
    emulator: Emulator, session: Session, table: TableMetadata
) -> None:
    emulator.settings.update({"row_conflicts": "last_writer_wins"})
    with session.transaction() as slow:
        set_number(emulator, slow, table, "a", 20)
        with session.transaction() as quick:
            delete_name(emulator, quick, table, "a")
    assert read(emulator, session, table) == []


def test_two_transactions_cannot_define_one_name(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    emulator.settings.update({"row_conflicts": "last_writer_wins"})
    with session.transaction() as first, session.transaction() as second:
        first.bucket(BUCKET).schema(SCHEMA).create_table("new", table.arrow_schema)
        with pytest.raises(errors.Conflict):
            second.bucket(BUCKET).schema(SCHEMA).create_table("new", table.arrow_schema)
    with session.transaction() as slow:
        schema = slow.bucket(BUCKET).schema(SCHEMA)
        with session.transaction() as quick:
            quick.bucket(BUCKET).schema(SCHEMA).table("t").rename_column("number", "count")
        with pytest.raises(errors.Conflict):
            schema.table("t").rename_column("number", "size")


def test_a_rename_does_not_conflict_with_rows(emulator: Emulator, session: Session, table: TableMetadata) -> None:
    with session.transaction() as slow:
        set_number(emulator, slow, table, "a", 20)
        with session.transaction() as quick:
            renamed = quick.bucket(BUCKET).schema(SCHEMA).table("t")
            renamed.rename_column("number", "count")
            renamed.add_column(pa.schema([("more", pa.int64())]))
            renamed.rename("t2")
    assert emulator.rows(SCHEMA, "t2").to_pydict() == {"name": ["a"], "count": [20], "more": [None]}


def test_rows_for_a_table_that_was_dropped_are_a_409(
    emulator: Emulator, session: Session, table: TableMetadata
) -> None:
    def write_both() -> None:
        with session.transaction() as slow:
            set_number(emulator, slow, table, "a", 20)
            with session.transaction() as quick:
                quick.bucket(BUCKET).schema(SCHEMA).table("t").drop()

    with pytest.raises(errors.Conflict):
        write_both()


@pytest.mark.parametrize("model", ["statement", "commit", "last_writer_wins"])
def test_counting_together(emulator: Emulator, session: Session, table: TableMetadata, model: str) -> None:
    """Increment one number concurrently: no increment is lost if conflicts are reported and retried."""
    emulator.settings.update({"row_conflicts": model})
    threads, increments = 4, 8

    def count() -> None:
        worker_session, done = connect(emulator), 0
        while done < increments:
            try:
                with worker_session.transaction() as tx:
                    ((_, number),) = rows(emulator, tx, table)
                    time.sleep(0.002)
                    set_number(emulator, tx, table, "a", number + 1)
                done += 1
            except errors.Conflict:
                continue

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(count) for _ in range(threads)]:
            future.result(timeout=60)
    ((_, total),) = read(emulator, session, table)
    assert (total == 1 + threads * increments) == (model != "last_writer_wins")
    assert emulator.engine.open_transactions == []


@pytest.mark.parametrize("model", ["refused", "last"])
def test_a_row_named_twice(emulator: Emulator, session: Session, table: TableMetadata, model: str) -> None:
    emulator.settings.update({"duplicate_row_ids": model})
    with session.transaction() as tx:
        current = with_ids(emulator, tx, table)
        duplicated = pa.concat_tables([current, current]).set_column(1, "number", pa.array([5, 6], type=pa.int64()))
        if model == "refused":
            with pytest.raises(errors.BadRequest, match="duplicate"):
                opened(tx, table).update(duplicated, columns=["number"])
        else:
            opened(tx, table).update(duplicated, columns=["number"])
    assert read(emulator, session, table) == [("a", 1 if model == "refused" else 6)]
