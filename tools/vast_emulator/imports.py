"""Imports of Parquet objects into a table: new rows, or new values for the rows that have the same keys."""

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
    """The handler of imports."""

    def __init__(self, engine: Engine, objects: Objects, rows: Rows, settings: Settings) -> None:
        self._engine = engine
        self._objects = objects
        self._rows = rows
        self._settings = settings

    def run(self, request: Request) -> Response:
        """POST /bucket/schema/table?data: a line for each file says what became of it."""
        files, keys = files_to_import(request.body)
        lines = []
        with self._engine.statement(request.transaction) as transaction:
            for file in files:
                result, message = "Success", ""
                try:
                    result = self._import(transaction, request, file, keys)
                except ProtocolError as refused:
                    result, message = refused.code, refused.message
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
                    raise bad_request("TabularMismatchColumnName", f"there is no column {name}")
            for batch in _like(table, rows).combine_chunks().to_batches():
                self._rows.insert_batch(transaction, table, batch)
        if imports is not None:
            values = [pa.array([file.bucket]), pa.array([file.name])]
            record = pa.RecordBatch.from_arrays(values, names=[column.key for column in imports.columns])
            row_ids = self._engine.allocate_rows(imports.id, 1)
            self._engine.execute(transaction, InsertRows(imports.id, record, row_ids))
        return "Success"

    def _is_imported(self, imports: Table, file: ImportedFile) -> bool:
        known = select_all(imports.store, imports.kinds).to_pydict()
        return (file.bucket, file.name) in zip(*known.values(), strict=True)

    def _read(self, file: ImportedFile) -> pa.Table:
        try:
            rows = pq.read_table(io.BytesIO(self._objects.find(file.bucket, file.name).data))
        except pa.ArrowException as wrong:
            raise bad_request("TabularInvalidFile", f"{file.name} is no Parquet file: {wrong}") from wrong
        if file.partitions:
            partition = read_batch(file.partitions)
            for field, column in zip(partition.schema, partition.columns, strict=True):
                rows = rows.append_column(field, pa.repeat(column[0], len(rows)))
        return rows

    def _merge(self, transaction: Transaction, table: Table, rows: pa.Table, keys: list[str]) -> None:
        """Put the columns of the file that are no keys into the rows with its keys, all of which there must be."""
        if not set(keys) <= set(rows.column_names):
            raise bad_request("TabularMismatchColumnName", "Failed to verify import keys")
        added = [field for field in rows.schema if table.column(field.name) is None]
        if added:
            for field in added:
                check_type(field, self._settings.cell_limit)
            columns = tuple(Column(self._engine.next_id(), field.remove_metadata()) for field in added)
            self._engine.execute(transaction, AddColumns(table.id, columns))
            table = transaction.catalog.tables[table.id]
        rows = _like(table, rows)
        present = select_all(table.store, table.kinds)
        names = {column.name: column.key for column in table.columns}
        have = present.select([names[key] for key in keys]).rename_columns(keys)
        have = have.append_column("row id", pa.array(np.sort(all_row_ids(table.store.runs))))
        given = rows.select(keys).append_column(_PLACE, pa.array(range(len(rows))))
        joined = have.join(given, keys, join_type="full outer").sort_by("row id")
        if joined["row id"].null_count or joined[_PLACE].null_count or len(joined) != len(have):
            raise bad_request("TabularMismatchKeys", "Failed to get row_ids to update on table")
        values = [name for name in rows.column_names if name not in keys and name != VISIBLE_ROW_ID]
        if values:
            taken = rows.select(values).take(joined[_PLACE].combine_chunks()).combine_chunks()
            batch = pa.RecordBatch.from_arrays(
                [taken[name].combine_chunks() for name in values], names=[names[name] for name in values]
            )
            row_ids = joined["row id"].to_numpy()
            self._engine.execute(transaction, UpdateRows(table.id, batch, row_ids))


def _like(table: Table, rows: pa.Table) -> pa.Table:
    """The rows in the types of the table; only the unit of a timestamp may differ."""
    for place, field in enumerate(rows.schema):
        column = table.column(field.name)
        wanted = field if column is None else column.field
        if field.type != wanted.type:
            if not (pt.is_timestamp(field.type) and pt.is_timestamp(wanted.type)):
                raise bad_request("TabularMismatchColumnType", f"{field.name}: {field.type}, not {wanted.type}")
            rows = rows.set_column(place, field.name, rows[field.name].cast(wanted.type, safe=False))
        rows = rows.set_column(place, wanted.remove_metadata(), rows[field.name])
    return rows
