"""Requests about rows: insert, update, delete, select."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tools.vast_emulator.catalog import Projection, Table
from tools.vast_emulator.columns import ROW_ID, VISIBLE_ROW_ID, check_cells
from tools.vast_emulator.counters import Counters
from tools.vast_emulator.definitions import find_projection, find_table
from tools.vast_emulator.engine import Engine, Transaction
from tools.vast_emulator.errors import ProtocolError, bad_request
from tools.vast_emulator.exchange import Request, Response, read_batch, stream_of
from tools.vast_emulator.frames import SelectBody, row_id_array, row_ids_of
from tools.vast_emulator.operations import DeleteRows, InsertRows, UpdateRows
from tools.vast_emulator.predicates import Predicate, constrained
from tools.vast_emulator.queries import Query, bind, decode
from tools.vast_emulator.runs import ZONE_ROWS, RowIds
from tools.vast_emulator.scan import Page, Scan, Share, gather, shorten
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.stores import Kinds, Store

# A select of this split requests only an estimate of the matching rows, in row groups.
_ESTIMATE = 0xFFFFFFFC
_DEFAULT_LIMIT = 128 * 1024


class Rows:
    """The handlers of requests about rows."""

    def __init__(self, engine: Engine, counters: Counters, settings: Settings) -> None:
        self._engine = engine
        self._counters = counters
        self._settings = settings

    def insert(self, request: Request) -> Response:
        """Handle POST /bucket/schema/table?rows."""
        batch = self._batch(request)
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            row_ids = self.insert_batch(transaction, table, batch)
        self._counters.rows(written=len(row_ids))
        ids = pa.record_batch([row_id_array(row_ids, tag_of(table))], names=[ROW_ID])
        return Response(body=stream_of(ids.schema, ids))

    def insert_batch(self, transaction: Transaction, table: Table, batch: pa.RecordBatch) -> RowIds:
        """Insert rows whose columns have the names that clients use; return the row ids."""
        external = VISIBLE_ROW_ID in batch.schema.names
        if external:
            row_ids: RowIds = batch[VISIBLE_ROW_ID].to_numpy(zero_copy_only=False).astype(np.int64)
            if not np.all(row_ids[1:] > row_ids[:-1]):
                raise bad_request("InvalidArgument", "Found duplicate row ids or not in ascending order")
            if len(table.store.fetch(row_ids, {})[1]):
                raise bad_request("InvalidArgument", "Found duplicate row ids: they are in the table")
            self._engine.take_rows(table.id, row_ids)
        else:
            row_ids = self._engine.allocate_rows(table.id, len(batch))
            if table.column(VISIBLE_ROW_ID):
                batch = batch.append_column(VISIBLE_ROW_ID, pa.array(row_ids))
        stored_batch = self._stored_batch(table, batch)
        self._engine.execute(transaction, InsertRows(table.id, stored_batch, row_ids, external))
        return row_ids

    def update(self, request: Request) -> Response:
        """Handle PUT /bucket/schema/table?rows."""
        batch = self._batch(request)
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            fixed = {column.name for column in table.columns if column.id in table.sort_columns} | {VISIBLE_ROW_ID}
            if table.vector_index is not None:
                fixed.add(table.vector_index.column)
            for name in batch.schema.names:
                if name in fixed:
                    raise bad_request("TabularUnsupportedUpdate", f"column {name} cannot be updated")
            row_ids, order = self._row_ids(table, batch)
            values = self._stored_batch(table, batch.drop_columns([ROW_ID])).take(order)
            self._engine.execute(transaction, UpdateRows(table.id, values, row_ids))
        self._counters.rows(written=len(row_ids))
        return Response()

    def delete(self, request: Request) -> Response:
        """Handle DELETE /bucket/schema/table?rows."""
        batch = self._batch(request)
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            row_ids, _ = self._row_ids(table, batch)
            self._engine.execute(transaction, DeleteRows(table.id, row_ids))
        self._counters.rows(written=len(row_ids))
        return Response()

    def _batch(self, request: Request) -> pa.RecordBatch:
        self._check_size(request)
        return read_batch(request.body)

    def _check_size(self, request: Request) -> None:
        limit = self._settings.request_limit
        if len(request.body) > limit:
            message = f"the request has {len(request.body)} bytes; the limit is {limit}"
            raise ProtocolError(self._settings.limit_status, "TabularRequestTooLarge", message)

    def _stored_batch(self, table: Table, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch as it is stored: columns named by column key, types and cell sizes checked."""
        keys = []
        for field in batch.schema:
            column = table.column(field.name)
            if column is None:
                raise bad_request("TabularMismatchColumnName", f"column {field.name} does not exist")
            if not _same_type(field, column.field):
                raise bad_request("TabularMismatchColumnType", f"{field.name}: {field.type}, not {column.field.type}")
            if self._settings.oversized_cells == "refused":
                check_cells(field.name, batch[field.name], self._settings.cell_limit, self._settings.limit_status)
            keys.append(column.key)
        return pa.RecordBatch.from_arrays(batch.columns, names=keys)

    def _row_ids(self, table: Table, batch: pa.RecordBatch) -> tuple[RowIds, pa.Array]:
        """Return the distinct row ids of a batch in ascending order, and the row of the batch that each stands for."""
        if ROW_ID not in batch.schema.names:
            raise bad_request("TabularMismatchColumnName", f"column {ROW_ID} is missing")
        column = batch[ROW_ID]
        if column.type != row_id_type(table) or column.null_count:
            raise bad_request("TabularMismatchColumnType", f"{ROW_ID}: {column.type}, not {row_id_type(table)}")
        batch_ids = row_ids_of(column, tag_of(table))
        keep_first = self._settings.duplicate_row_ids == "first"
        # `unique` keeps the first of equal ids; reversing the batch makes it keep the last.
        row_ids, places = np.unique(batch_ids if keep_first else batch_ids[::-1], return_index=True)
        if len(row_ids) < len(batch_ids) and self._settings.duplicate_row_ids == "refused":
            raise bad_request("InvalidArgument", "Found duplicate row ids")
        known = row_ids >= 0
        return row_ids[known], pa.array(places[known] if keep_first else len(batch_ids) - 1 - places[known])

    # Select.

    def select(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?data."""
        self._check_size(request)
        if request.number("tabular-schedule-id") < 0:
            raise bad_request("InvalidArgument", "tabular-schedule-id is negative")
        query = decode(request.body)
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(self._engine.view(transaction), request)
        if ROW_ID in query.columns and query.decimal_row_ids != table.has_decimal_row_ids:
            raise bad_request("TabularMismatchColumnType", f"{ROW_ID} is {row_id_type(table)}")
        used: dict[str, None] = {}
        predicate = bind(query.filter, _column_finder(table, used))
        keys = [_column_finder(table, used)(name)[0] for name in query.columns if name != ROW_ID]
        store = _store(table, predicate, {int(key) for key in used}, request)
        scan = Scan(store, table.kinds, predicate, self._settings)
        split, splits, group = _split(request)
        if split == _ESTIMATE:
            return _estimate(scan)
        pages = scan.pages(_share(request, split, splits, group, self._limit(request)))
        body = SelectBody()
        for sub_split, page in pages.items():
            self._add(body, sub_split, page, query, keys, table, store.key)
        self._counters.rows(looked_at=scan.rows_looked_at)
        return Response(headers={"Content-Type": "application/octet-stream"}, body=body.complete())

    def _limit(self, request: Request) -> int:
        limit = request.number("tabular-limit-rows", _DEFAULT_LIMIT)
        return limit if self._settings.page_rows is None else min(limit, self._settings.page_rows)

    def _add(
        self,
        body: SelectBody,
        sub_split: int,
        page: Page,
        query: Query,
        keys: list[str],
        table: Table,
        sorted_by: tuple[str, ...],
    ) -> None:
        columns, row_ids = gather(page, keys, table.kinds)
        rows = shorten(page, columns, self._settings.page_bytes)
        arrays = dict(zip((name for name in query.columns if name != ROW_ID), columns, strict=True))
        if ROW_ID in query.columns:
            arrays[ROW_ID] = row_id_array(row_ids, tag_of(table))
        order = np.arange(rows) if rows < len(row_ids) else None
        if not self._settings.shuffle and not _is_ordered(page):
            order = _order(gather(page, sorted_by, table.kinds)[0], row_ids, rows)
        columns_in_order = [
            arrays[name] if order is None else arrays[name].take(pa.array(order)) for name in query.columns
        ]
        self._counters.rows(sent=rows)
        body.add(sub_split, page.next, columns_in_order, rows)


def _is_ordered(page: Page) -> bool:
    """Return True if all rows of a page come from one run, which is in order."""
    return len({id(part.data) for part in page.parts}) < 2


def _order(columns: Sequence[pa.Array], row_ids: RowIds, rows: int) -> RowIds:
    """Return the order of the first `rows` rows by these columns, then by row id."""
    keys = pa.Table.from_arrays([*columns, pa.array(row_ids)], names=[str(n) for n in range(len(columns) + 1)])
    order = pc.sort_indices(keys.slice(0, rows), sort_keys=[(name, "ascending") for name in keys.column_names])
    result: RowIds = order.to_numpy().astype(np.int64)
    return result


def tag_of(table: Table) -> int | None:
    """Return the upper half of a table's decimal row ids; None if its row ids are plain integers."""
    return table.id if table.has_decimal_row_ids else None


def row_id_type(table: Table) -> pa.DataType:
    """Return the type of a table's row ids."""
    return pa.decimal128(38, 0) if table.has_decimal_row_ids else pa.uint64()


def _same_type(first: pa.Field, second: pa.Field) -> bool:
    return bool(first.type == second.type and first.nullable == second.nullable)


def _column_finder(table: Table, used: dict[str, None]) -> Callable[[str], tuple[str, pa.DataType]]:
    def find(name: str) -> tuple[str, pa.DataType]:
        column = table.column(name)
        if column is None:
            raise bad_request("TabularMismatchColumnName", f"column {name} does not exist")
        used[column.key] = None
        return column.key, column.field.type

    return find


def _store(table: Table, predicate: Predicate | None, needed: set[int], request: Request) -> Store:
    """Return the copy of the rows to read: the projection that the request names, or one that suits the predicate."""
    name = request.query.get("name")
    if name:
        projection = find_projection(table, name)
        if not needed <= projection.column_ids:
            raise bad_request("InvalidArgument", f"projection {name} lacks a column of the query")
        return projection.store
    if predicate is None or not request.flag("tabular-enable-sorted-projections"):
        return table.store
    narrowed = {int(key) for key in constrained(predicate)}
    if table.sort_columns and table.sort_columns[0] in narrowed:
        return table.store

    def suits(projection: Projection) -> bool:
        return projection.sorted_columns[0] in narrowed and needed <= projection.column_ids

    return next((projection.store for projection in table.projections if suits(projection)), table.store)


def _split(request: Request) -> tuple[int, int, int]:
    parts = request.headers.get("tabular-split", "0,1,8").split(",")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise bad_request("InvalidArgument", f"tabular-split: invalid value {','.join(parts)}")
    split, splits, group = (int(part) for part in parts)
    if splits < 1 or group < 1 or (split >= splits and split != _ESTIMATE):
        raise bad_request("InvalidArgument", f"tabular-split: invalid value {','.join(parts)}")
    return split, splits, group


def _share(request: Request, split: int, splits: int, group: int, limit: int) -> Share:
    sub_splits = request.number("tabular-num-of-subsplits", 1)
    if not 1 <= sub_splits <= 1024 or limit < 1:
        raise bad_request("InvalidArgument", f"invalid number of sub-splits or rows: {sub_splits} of {limit}")
    starts = {}
    for sub_split in range(sub_splits):
        value = request.headers.get(f"tabular-start-row-id-{sub_split}", f"{sub_split},0")
        number, _, place = value.partition(",")
        if number != str(sub_split) or not place.isdecimal():
            raise bad_request("InvalidArgument", f"tabular-start-row-id-{sub_split}: invalid value {value}")
        starts[sub_split] = int(place)
    return Share(split=split, splits=splits, group=group, starts=starts, sub_splits=sub_splits, limit=limit)


def _estimate(scan: Scan) -> Response:
    """Return a response with one row for each row group that may match."""
    groups = -(-scan.matching_zones() * ZONE_ROWS // scan.settings.group_rows)
    body = SelectBody()
    body.add(0, 0, [], groups)
    return Response(body=body.complete())


def select_all(store: Store, kinds: Kinds) -> pa.Table:
    """Return all rows of a store, in the order of their ids."""
    scan = Scan(store, kinds, None, Settings())
    page = scan.pages(Share(split=0, splits=1, group=1, starts={0: 0}, sub_splits=1, limit=1 << 62))[0]
    columns, row_ids = gather(page, list(kinds), kinds)
    order = pc.sort_indices(pa.array(row_ids))
    return pa.Table.from_arrays(columns, names=list(kinds)).take(order)
