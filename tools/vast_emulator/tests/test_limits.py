"""Requests that a cluster rejects, and limits on what it stores."""

import pyarrow as pa
import pytest
from vastdb import errors, util
from vastdb.session import Session

from tools.vast_emulator.emulator import BUCKET, Emulator
from tools.vast_emulator.tests.steps import SCHEMA, create, insert, opened, put, read, with_ids

pytestmark = pytest.mark.vast


def test_a_cell_holds_126_kilobytes(emulator: Emulator, session: Session) -> None:
    table = create(session, "t")
    insert(session, table, ("x" * 126 * 1024, 1))
    with pytest.raises(errors.BadRequest, match="TabularCellTooLarge"):
        insert(session, table, ("x" * (126 * 1024 + 1), 2))
    assert [number for _, number in read(emulator, session, table)] == [1]


def test_a_cluster_may_store_larger_cells(emulator: Emulator, session: Session) -> None:
    emulator.settings.update({"oversized_cells": "stored"})
    table = create(session, "t")
    insert(session, table, ("x" * 200_000, 1))
    assert len(read(emulator, session, table)[0][0]) == 200_000


def test_a_request_holds_5_megabytes(session: Session) -> None:
    table = create(session, "t")
    oversized = pa.record_batch([["x" * 100_000] * 60, list(range(60))], schema=_plain(table.arrow_schema))
    ref, body = table.ref, util.serialize_record_batch(oversized)
    with session.transaction() as tx, pytest.raises(errors.BadRequest, match="TabularRequestTooLarge"):
        session.api.insert_rows(ref.bucket, ref.schema, ref.table, body, tx.txid)


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in schema])


def test_a_column_of_the_sorting_key_cannot_be_updated(emulator: Emulator, session: Session) -> None:
    table = create(session, "t", sorting_key=["name"])
    insert(session, table, ("a", 1))
    with session.transaction() as tx:
        current = with_ids(emulator, tx, table)
        assert pa.types.is_decimal(current["$row_id"].type)
        opened(tx, table).update(current, columns=["number"])
        with pytest.raises(errors.BadRequest, match="name cannot be updated"):
            opened(tx, table).update(current, columns=["name"])


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (pa.table({"name": ["a"], "other": [1]}), "TabularMismatchColumnName"),
        (pa.table({"name": ["a"], "number": ["1"]}), "TabularMismatchColumnType"),
    ],
)
def test_rows_must_fit_the_table(session: Session, rows: pa.Table, code: str) -> None:
    table = create(session, "t")
    with session.transaction() as tx, pytest.raises(errors.BadRequest, match=code):
        opened(tx, table).insert(rows)


def test_a_schema_with_tables_cannot_be_dropped(session: Session) -> None:
    create(session, "t")
    with session.transaction() as tx, pytest.raises(errors.Conflict):
        tx.bucket(BUCKET).schema(SCHEMA).drop()


def test_a_missing_table_or_bucket_is_a_404(session: Session) -> None:
    table = create(session, "t")
    with session.transaction() as tx:
        tx.bucket(BUCKET).schema(SCHEMA).table("t").drop()
        with pytest.raises(errors.NotFound):
            put(tx, table, ("a", 1))
        with pytest.raises(errors.MissingBucket):
            tx.bucket("elsewhere")


def test_an_unsupported_feature_is_a_501(session: Session) -> None:
    from pyiceberg.transforms import IdentityTransform
    from vastdb.partitioning import PartitionKey, PartitionSpec

    create(session, "t")
    by_name = PartitionSpec([PartitionKey("name", IdentityTransform())])
    with session.transaction() as tx:
        schema = tx.bucket(BUCKET).schema(SCHEMA)
        with pytest.raises(errors.NotImplemented):
            schema.create_table("p", pa.schema([("name", pa.utf8())]), partition_spec=by_name)
