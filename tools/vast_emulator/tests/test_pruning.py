"""Pruning: the number of rows that a query examines does not depend on the size of the table."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from vastdb.session import Session
from vastdb.table_metadata import TableMetadata, TableRef

from tools.vast_emulator.emulator import BUCKET, Emulator
from tools.vast_emulator.runs import ZONE_ROWS
from tools.vast_emulator.tests.steps import SCHEMA, create, insert, one_request, opened, with_ids

pytestmark = pytest.mark.vast

COLUMNS = pa.schema([("flow", pa.utf8()), ("start", pa.int64()), ("name", pa.utf8())])
SECOND = 1_000_000_000


def _segments(flows: int, per_flow: int) -> Iterator[pa.RecordBatch]:
    for flow in range(flows):
        start = np.arange(per_flow, dtype=np.int64) * SECOND
        columns = [pa.repeat(f"flow{flow:04d}", per_flow), pa.array(start), pa.repeat("segment", per_flow)]
        yield pa.RecordBatch.from_arrays(columns, schema=COLUMNS)


def _loaded(emulator: Emulator, session: Session, flows: int, per_flow: int) -> TableMetadata:
    emulator.load(SCHEMA, "segments", _segments(flows, per_flow), sorting_key=["flow", "start"])
    metadata = TableMetadata(TableRef(BUCKET, SCHEMA, "segments"))
    with session.transaction() as tx:
        metadata.load(tx)
    return metadata


def _query_cost(emulator: Emulator, session: Session, metadata: TableMetadata) -> tuple[int, int]:
    """Return the number of rows in ten seconds of a flow, and the number of rows that the query examined."""
    with session.transaction() as tx, emulator.counting() as counts:
        table = opened(tx, metadata)
        condition = (table["flow"] == "flow0003") & (table["start"] >= 400 * SECOND) & (table["start"] < 410 * SECOND)
        result = table.select(["start"], condition, one_request(emulator)).read_all()
    return len(result), counts.rows_looked_at


@pytest.mark.parametrize("per_flow", [1_000, 100_000])
def test_a_range_of_a_sorted_table_examines_one_zone(emulator: Emulator, session: Session, per_flow: int) -> None:
    metadata = _loaded(emulator, session, 10, per_flow)
    count, looked_at = _query_cost(emulator, session, metadata)
    assert count == 10
    assert looked_at <= ZONE_ROWS


def test_rows_that_come_later_are_pruned_too(emulator: Emulator, session: Session) -> None:
    metadata = _loaded(emulator, session, 10, 20_000)
    for number in range(40):
        insert(session, metadata, (f"flow{number % 10:04d}", (30_000 + number) * SECOND, "more"))
    count, looked_at = _query_cost(emulator, session, metadata)
    assert count == 10
    assert looked_at <= 3 * ZONE_ROWS


def test_a_condition_on_an_unsorted_column_scans_all_rows(emulator: Emulator, session: Session) -> None:
    metadata = _loaded(emulator, session, 10, 1_000)
    with session.transaction() as tx, emulator.counting() as counts:
        table = opened(tx, metadata)
        table.select(["start"], table["name"].contains("x"), one_request(emulator)).read_all()
    assert counts.rows_looked_at == 10_000


def test_a_limit_stops_the_scan(emulator: Emulator, session: Session) -> None:
    metadata = _loaded(emulator, session, 10, 10_000)
    with session.transaction() as tx, emulator.counting() as counts:
        reader = opened(tx, metadata).select_splits(["start"], config=one_request(emulator), limit_rows=10)[0]
        assert len(next(reader)) == 10
    assert counts.requests["select"] == 1
    assert counts.rows_looked_at == ZONE_ROWS
    assert counts.rows_sent == 10


def test_bulk_rows_can_be_updated_and_deleted(emulator: Emulator, session: Session) -> None:
    metadata = _loaded(emulator, session, 4, 10_000)
    with session.transaction() as tx:
        table = opened(tx, metadata)
        rows_with_ids = with_ids(
            emulator, tx, metadata, (table["flow"] == "flow0002") & (table["start"] < 100 * SECOND)
        )
        assert len(rows_with_ids) == 100
        table.delete(rows_with_ids.slice(0, 50))
        renamed = rows_with_ids.slice(50).set_column(2, "name", pa.repeat("renamed", 50))
        table.update(renamed, columns=["name"])
    rows = emulator.rows(SCHEMA, "segments")
    assert len(rows) == 39_950
    assert rows["name"].to_pylist().count("renamed") == 50


def test_rows_can_be_loaded_into_a_table_that_the_sdk_made(emulator: Emulator, session: Session) -> None:
    create(session, "segments", COLUMNS, sorting_key=["flow", "start"])
    metadata = _loaded(emulator, session, 5, 5_000)
    emulator.load(SCHEMA, "segments", _segments(5, 10))
    count, looked_at = _query_cost(emulator, session, metadata)
    assert count == 10
    assert looked_at <= 2 * ZONE_ROWS
    assert len(emulator.rows(SCHEMA, "segments")) == 25_050


def test_rows_out_of_order_are_sorted_when_they_are_loaded(emulator: Emulator, session: Session) -> None:
    batches = list(_segments(10, 5_000))
    emulator.load(SCHEMA, "segments", pa.Table.from_batches(reversed(batches)), sorting_key=["flow", "start"])
    metadata = TableMetadata(TableRef(BUCKET, SCHEMA, "segments"))
    with session.transaction() as tx:
        metadata.load(tx)
    count, looked_at = _query_cost(emulator, session, metadata)
    assert count == 10
    assert looked_at <= 2 * ZONE_ROWS
