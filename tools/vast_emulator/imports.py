"""Imports of Parquet objects into a table: new rows, or new values for existing rows with the same keys."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from tools.vast_emulator.catalog import Table
from tools.vast_emulator.columns import VISIBLE_ROW_ID, Column, check_type
from tools.vast_emulator.definitions import find_table
from tools.vast_emulator.engine import Engine, Transaction
from tools.vast_emulator.errors import ProtocolError, bad_request
from tools.vast_emulator.exchange import Request, Response, read_batch
from tools.vast_emulator.messages import ImportedFile, files_to_import
from tools.vast_emulator.objects import Objects
from tools.vast_emulator.operations import AddColumns, InsertRows, UpdateRows
from tools.vast_emulator.rows import Rows, select_all
from tools.vast_emulator.runs import all_row_ids
from tools.vast_emulator.settings import Settings

_PLACE = "place"


class Imports:
    """The handler of import requests."""

    def __init__(self, engine: Engine, objects: Objects, rows: Rows, settings: Settings) -> None:
        self._engine = engine
        self._objects = objects
        self._rows = rows
        self._settings = settings

    def run(self, request: Request) -> Response:
        """Handle POST /bucket/schema/table?data; the response has a line with the result of each file."""
        files, keys = files_to_import(request.body)
        lines = []
        with self._engine.statement(request.transaction) as transaction:
            for file in files:
                result, message = "Success", ""
                try:
                    result = self._import(transaction, request, file, keys)
                except ProtocolError as error:
                    result, message = error.code, error.message
                line = {"res": result, "err_msg": message, "bucket_name": file.bucket, "object_name": file.name}
                lines.append(json.dumps(line).encode())
        return Response(chunks=lines)

    def _import(self, transaction: Transaction, request: Request, file: ImportedFile, keys: list[str]) -> str:
        table = find_table(transaction.catalog, request)
        imports = transaction.catalog.imports_table(table)
        if imports is not None and self._is_imported(imports, file):
            return "TabularAlreadyImported"
        rows = self._read(file)
        if keys:
            self._merge(transaction, table, rows, keys)
        else:
            for name in rows.column_names:
                if table.column(name) is None:
                    raise bad_request("TabularMismatchColumnName", f"column {name} does not exist")
            for batch in _with_types_of(table, rows).combine_chunks().to_batches():
                self._rows.insert_batch(transaction, table, batch)
        if imports is not None:
            values = [pa.array([file.bucket]), pa.array([file.name])]
            record = pa.RecordBatch.from_arrays(values, names=[column.key for column in imports.columns])
            row_ids = self._engine.allocate_rows(imports.id, 1)
            self._engine.execute(transaction, InsertRows(imports.id, record, row_ids))
        return "Success"

    def _is_imported(self, imports: Table, file: ImportedFile) -> bool:
        records = select_all(imports.store, imports.kinds).to_pydict()
        return (file.bucket, file.name) in zip(*records.values(), strict=True)

    def _read(self, file: ImportedFile) -> pa.Table:
        try:
            rows = pq.read_table(io.BytesIO(self._objects.find(file.bucket, file.name).data))
        except pa.ArrowException as error:
            raise bad_request("TabularInvalidFile", f"{file.name} is not a Parquet file: {error}") from error
        if file.partitions:
            partition = read_batch(file.partitions)
            for field, column in zip(partition.schema, partition.columns, strict=True):
                rows = rows.append_column(field, pa.repeat(column[0], len(rows)))
        return rows

    def _merge(self, transaction: Transaction, table: Table, rows: pa.Table, keys: list[str]) -> None:
        """Put the file's columns that are not keys into the rows with its keys, every one of which must exist."""
        if not set(keys) <= set(rows.column_names):
            raise bad_request("TabularMismatchColumnName", "Failed to verify import keys")
        new_fields = [field for field in rows.schema if table.column(field.name) is None]
        if new_fields:
            for field in new_fields:
                check_type(field, self._settings.cell_limit)
            columns = tuple(Column(self._engine.next_id(), field.remove_metadata()) for field in new_fields)
            self._engine.execute(transaction, AddColumns(table.id, columns))
            table = transaction.catalog.tables[table.id]
        rows = _with_types_of(table, rows)
        table_rows = select_all(table.store, table.kinds)
        names = {column.name: column.key for column in table.columns}
        existing_keys = table_rows.select([names[key] for key in keys]).rename_columns(keys)
        existing_keys = existing_keys.append_column("row id", pa.array(np.sort(all_row_ids(table.store.runs))))
        file_keys = rows.select(keys).append_column(_PLACE, pa.array(range(len(rows))))
        joined = existing_keys.join(file_keys, keys, join_type="full outer").sort_by("row id")
        if joined["row id"].null_count or joined[_PLACE].null_count or len(joined) != len(existing_keys):
            raise bad_request("TabularMismatchKeys", "Failed to get row_ids to update on table")
        value_names = [name for name in rows.column_names if name not in keys and name != VISIBLE_ROW_ID]
        if value_names:
            ordered_rows = rows.select(value_names).take(joined[_PLACE].combine_chunks()).combine_chunks()
            batch = pa.RecordBatch.from_arrays(
                [ordered_rows[name].combine_chunks() for name in value_names],
                names=[names[name] for name in value_names],
            )
            row_ids = joined["row id"].to_numpy()
            self._engine.execute(transaction, UpdateRows(table.id, batch, row_ids))


def _with_types_of(table: Table, rows: pa.Table) -> pa.Table:
    """Return the rows in the table's types; only the unit of a timestamp may differ."""
    for place, field in enumerate(rows.schema):
        column = table.column(field.name)
        expected = field if column is None else column.field
        if field.type != expected.type:
            if not (pt.is_timestamp(field.type) and pt.is_timestamp(expected.type)):
                raise bad_request("TabularMismatchColumnType", f"{field.name}: {field.type}, not {expected.type}")
            rows = rows.set_column(place, field.name, rows[field.name].cast(expected.type, safe=False))
        rows = rows.set_column(place, expected.remove_metadata(), rows[field.name])
    return rows
