"""Steps that the tests of the emulator share."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from vastdb.config import BackoffConfig, QueryConfig
from vastdb.session import Session
from vastdb.table import TableInTransaction
from vastdb.table_metadata import TableMetadata, TableRef
from vastdb.transaction import Transaction

from tools.vast_emulator.emulator import BUCKET, Emulator

SCHEMA = "tests"
COLUMNS = pa.schema([("name", pa.utf8()), ("number", pa.int64())])


def connect(emulator: Emulator, **options: Any) -> Session:
    """Return a session that does not retry."""
    return emulator.connect(backoff_config=BackoffConfig(max_tries=1), **options)


def create(
    session: Session, table: str, columns: pa.Schema = COLUMNS, sorting_key: Sequence[str] = ()
) -> TableMetadata:
    """Create a table, commit it, and return its metadata, loaded."""
    metadata = TableMetadata(TableRef(BUCKET, SCHEMA, table))
    with session.transaction() as tx:
        schema = tx.bucket(BUCKET).create_schema(SCHEMA, fail_if_exists=False)
        schema.create_table(table, columns, sorting_key=list(sorting_key))
        metadata.load(tx)
    return metadata


def opened(tx: Transaction, metadata: TableMetadata) -> TableInTransaction:
    """Return the table in a transaction, without a request."""
    table: TableInTransaction = tx.table_from_metadata(metadata)
    return table


def insert(session: Session, metadata: TableMetadata, *rows: tuple[Any, ...]) -> None:
    """Insert rows and commit them."""
    with session.transaction() as tx:
        put(tx, metadata, *rows)


def put(tx: Transaction, metadata: TableMetadata, *rows: tuple[Any, ...]) -> None:
    """Insert rows in a transaction."""
    opened(tx, metadata).insert(pa.Table.from_arrays(_columns(metadata.arrow_schema, rows), schema=_plain(metadata)))


def _columns(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> list[pa.Array]:
    return [pa.array(cells, type=field.type) for field, cells in zip(schema, zip(*rows, strict=True), strict=True)]


def _plain(metadata: TableMetadata) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in metadata.arrow_schema])


def one_request(emulator: Emulator) -> QueryConfig:
    """Return the configuration of a query that takes a single request, or one for each page."""
    return QueryConfig(num_splits=1, num_sub_splits=1, data_endpoints=[emulator.endpoint])


def rows(
    emulator: Emulator, tx: Transaction, metadata: TableMetadata, predicate: Any = None, **options: Any
) -> list[tuple[Any, ...]]:
    """Return the rows that a transaction sees, in the order of the response."""
    table = opened(tx, metadata)
    result = table.select(
        predicate=predicate, config=options.pop("config", one_request(emulator)), **options
    ).read_all()
    return list(zip(*result.to_pydict().values(), strict=True))


def read(emulator: Emulator, session: Session, metadata: TableMetadata, predicate: Any = None) -> list[tuple[Any, ...]]:
    """Return the rows that a new transaction sees, sorted."""
    with session.transaction() as tx:
        return sorted(rows(emulator, tx, metadata, predicate))


def with_ids(emulator: Emulator, tx: Transaction, metadata: TableMetadata, predicate: Any = None) -> pa.Table:
    """Return rows with their ids, which an update or delete needs."""
    table = opened(tx, metadata)
    return table.select(predicate=predicate, config=one_request(emulator), internal_row_id=True).read_all()


def set_number(emulator: Emulator, tx: Transaction, metadata: TableMetadata, name: str, number: int) -> None:
    """Update the rows with this name."""
    table = opened(tx, metadata)
    current = with_ids(emulator, tx, metadata, table["name"] == name)
    position = current.schema.get_field_index("number")
    updated = current.set_column(position, "number", pa.array([number] * len(current), type=pa.int64()))
    table.update(updated, columns=["number"])


def delete_name(emulator: Emulator, tx: Transaction, metadata: TableMetadata, name: str) -> None:
    """Delete the rows with this name."""
    table = opened(tx, metadata)
    table.delete(with_ids(emulator, tx, metadata, table["name"] == name))
