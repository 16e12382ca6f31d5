"""Requests about definitions: schemas, tables, columns, projections and their statistics."""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.types as pt

from tools.vast_emulator import messages
from tools.vast_emulator.catalog import IMPORTS, Catalog, Projection, Schema, Table, VectorIndex
from tools.vast_emulator.columns import Column, check_type
from tools.vast_emulator.engine import Engine
from tools.vast_emulator.errors import ProtocolError, bad_request, not_found, unsupported
from tools.vast_emulator.exchange import Request, Response, read_schema, stream_of
from tools.vast_emulator.messages import Entry
from tools.vast_emulator.objects import Objects
from tools.vast_emulator.operations import (
    AddColumns,
    CreateProjection,
    CreateSchema,
    CreateTable,
    DropColumns,
    DropProjection,
    DropSchema,
    DropTable,
    RenameColumn,
    RenameProjection,
    RenameSchema,
    RenameTable,
    SortTable,
)
from tools.vast_emulator.runs import ordered_type
from tools.vast_emulator.settings import Settings
from tools.vast_emulator.stores import Store

_IMPORT_COLUMNS = pa.schema([("BucketName", pa.utf8()), ("ObjectName", pa.utf8())])
_METRICS = {"l2sq": "array_distance", "ip": "array_inner_product"}
_QUANTIZATIONS = ("scalar_8bit", "none")


def find_schema(catalog: Catalog, bucket: str, path: str) -> Schema:
    """Return a schema.

    Raises:
        ProtocolError: 404, the schema does not exist.
    """
    schema = catalog.schema(bucket, path)
    if schema is None:
        raise not_found("TabularNoSuchSchema", f"schema {bucket}/{path} does not exist")
    return schema


def find_table(catalog: Catalog, request: Request) -> Table:
    """Return the table that a request addresses.

    Raises:
        ProtocolError: 400, the path names no table; 404, the schema or table does not exist.
    """
    if len(request.segments) < 3:
        raise bad_request("InvalidArgument", "the path names no table")
    *path, name = request.segments[1:]
    table = catalog.table(find_schema(catalog, request.bucket, "/".join(path)), name)
    if table is not None and request.query.get("sub-table") == IMPORTS:
        table = catalog.imports_table(table)
    if table is None:
        raise not_found("TabularNoSuchTable", f"table {name} does not exist")
    return table


class Definitions:
    """The handlers of requests about definitions."""

    def __init__(self, engine: Engine, objects: Objects, settings: Settings) -> None:
        self._engine = engine
        self._objects = objects
        self._settings = settings

    # Schemas.

    def list_schemas(self, request: Request) -> Response:
        """Handle GET /bucket[/schema]?schema."""
        self._objects.require_bucket(request.bucket)
        path = "/".join(request.segments[1:])
        with self._engine.statement(request.transaction) as transaction:
            catalog = transaction.catalog
            if path:
                find_schema(catalog, request.bucket, path)
            entries = [Entry(name, schema.id) for schema, name in catalog.child_schemas(request.bucket, path)]
        page, headers = self._page(request, entries)
        return Response(headers=headers, body=messages.list_of_schemas(request.bucket, page))

    def create_schema(self, request: Request) -> Response:
        """Handle POST /bucket/schema?schema."""
        self._objects.require_bucket(request.bucket)
        path = "/".join(request.segments[1:])
        with self._engine.statement(request.transaction) as transaction:
            if "/" in path:
                find_schema(transaction.catalog, request.bucket, path.rpartition("/")[0])
            schema = Schema(self._engine.next_id(), request.bucket, path)
            self._engine.execute(transaction, CreateSchema(schema))
        return Response()

    def alter_schema(self, request: Request) -> Response:
        """Handle PUT /bucket/schema?schema: rename the schema."""
        with self._engine.statement(request.transaction) as transaction:
            schema = find_schema(transaction.catalog, request.bucket, "/".join(request.segments[1:]))
            name = request.query.get("tabular-new-schema-name")
            if name:
                self._engine.execute(transaction, RenameSchema(schema, name))
        return Response()

    def drop_schema(self, request: Request) -> Response:
        """Handle DELETE /bucket/schema?schema."""
        with self._engine.statement(request.transaction) as transaction:
            schema = find_schema(transaction.catalog, request.bucket, "/".join(request.segments[1:]))
            self._engine.execute(transaction, DropSchema(schema))
        return Response()

    # Tables.

    def list_tables(self, request: Request) -> Response:
        """Handle GET /bucket/schema?table."""
        self._objects.require_bucket(request.bucket)
        path = "/".join(request.segments[1:])
        with self._engine.statement(request.transaction) as transaction:
            schema = find_schema(transaction.catalog, request.bucket, path)
            entries = [Entry.of_table(table) for table in transaction.catalog.tables_of(schema)]
        page, headers = self._page(request, entries)
        return Response(headers=headers, body=messages.list_of_tables(request.bucket, path, page))

    def create_table(self, request: Request) -> Response:
        """Handle POST /bucket/schema/table?table."""
        if request.query.get("sub-table") == IMPORTS:
            raise ProtocolError(500, "InternalError", "the imports table is created with its table")
        *path, name = request.segments[1:]
        arrow_schema = read_schema(request.body)
        if any(key.startswith(b"VAST:table:partition-key") for key in arrow_schema.metadata or {}):
            raise unsupported("partitioned tables")
        columns = self._new_columns(arrow_schema)
        sort_columns = self._sorting_key(request, columns)
        index = _vector_index(request, columns)
        with self._engine.statement(request.transaction) as transaction:
            schema = find_schema(transaction.catalog, request.bucket, "/".join(path))
            store = Store(tuple(str(column) for column in sort_columns))
            table = Table(self._engine.next_id(), schema.id, name, columns, store, sort_columns, vector_index=index)
            self._engine.execute(transaction, CreateTable(table))
            imports = Table(
                self._engine.next_id(),
                schema.id,
                IMPORTS,
                self._new_columns(_IMPORT_COLUMNS),
                Store(),
                imports_of=table.id,
            )
            self._engine.execute(transaction, CreateTable(imports))
        return Response()

    def alter_table(self, request: Request) -> Response:
        """Handle PUT /bucket/schema/table?table: rename the table, or give it a sorting key."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            sort_columns = self._sorting_key(request, table.columns)
            if sort_columns:
                if table.sort_columns:
                    raise bad_request("InvalidArgument", "the table already has a sorting key")
                self._engine.execute(transaction, SortTable(table.id, sort_columns))
            name = request.query.get("tabular-new-table-name")
            if name:
                path, _, last = name.rpartition("/")
                schema = find_schema(transaction.catalog, request.bucket, path)
                self._engine.execute(transaction, RenameTable(table, schema.id, last))
        return Response()

    def drop_table(self, request: Request) -> Response:
        """Handle DELETE /bucket/schema/table?table."""
        with self._engine.statement(request.transaction) as transaction:
            self._engine.execute(transaction, DropTable(find_table(transaction.catalog, request)))
        return Response()

    def table_statistics(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?stats."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
        addresses = [(request.local_address, self._settings.addresses)] if self._settings.addresses else []
        return Response(body=messages.table_statistics(table, addresses))

    # Columns.

    def list_columns(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?column."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
        return self._columns(request, table, table.columns)

    def list_sorted_columns(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?sorted-columns."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
        if not table.sort_columns:
            raise bad_request("InvalidArgument", "Listing sorted columns without elysium enabled")
        by_id = {column.id: column for column in table.columns}
        fields = [_described(by_id[number], table.sort_columns) for number in table.sort_columns]
        return Response(headers=_list_headers(len(fields), 0, truncated=False), body=stream_of(pa.schema(fields)))

    def _columns(self, request: Request, table: Table, columns: Iterable[Column]) -> Response:
        by_id = {column.id: column for column in columns}
        page, headers = self._page(request, [Entry(column.name, column.id) for column in by_id.values()])
        page_columns = [by_id[entry.handle] for entry in page]
        if request.flag("tabular-only-column-names"):
            fields = [pa.field(column.name, pa.null()) for column in page_columns]
        else:
            fields = [_described(column, table.sort_columns) for column in page_columns]
        return Response(headers=headers, body=stream_of(pa.schema(fields)))

    def add_columns(self, request: Request) -> Response:
        """Handle POST /bucket/schema/table?column."""
        columns = self._new_columns(read_schema(request.body))
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            self._engine.execute(transaction, AddColumns(table.id, columns))
        return Response()

    def alter_column(self, request: Request) -> Response:
        """Handle PUT /bucket/schema/table?column: rename the column."""
        query = request.query
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            column = _column(table, query.get("tabular-column-name", ""))
            if query.get("tabular-new-column-name"):
                rename = RenameColumn(table.id, column, query["tabular-new-column-name"])
                self._engine.execute(transaction, rename)
        return Response()

    def drop_columns(self, request: Request) -> Response:
        """Handle DELETE /bucket/schema/table?column."""
        names = read_schema(request.body).names
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            columns = tuple(_column(table, name) for name in names)
            self._engine.execute(transaction, DropColumns(table.id, columns))
        return Response()

    # Projections.

    def list_projections(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?projection."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
        entries = [Entry(p.name, p.id, p.store.rows, p.store.nbytes) for p in table.projections]
        page, headers = self._page(request, entries)
        path = "/".join(request.segments[1:-1])
        body = messages.list_of_projections(request.bucket, path, table.name, page)
        return Response(headers=headers, body=body)

    def create_projection(self, request: Request) -> Response:
        """Handle POST /bucket/schema/table?projection&name=..."""
        sorted_names, other_names = messages.projection_columns(request.body)
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            sorted_columns = tuple(_column(table, name).id for name in sorted_names)
            other_columns = tuple(_column(table, name).id for name in other_names)
            if not sorted_columns:
                raise bad_request("InvalidArgument", "a projection needs at least one sorted column")
            name = request.query.get("name", "")
            store = Store(tuple(str(column) for column in sorted_columns))
            projection = Projection(self._engine.next_id(), name, sorted_columns, other_columns, store)
            self._engine.execute(transaction, CreateProjection(table.id, projection))
        return Response()

    def alter_projection(self, request: Request) -> Response:
        """Handle PUT /bucket/schema/table?projection&name=...: rename the projection."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            projection = find_projection(table, request.query.get("name", ""))
            name = messages.new_projection_name(request.body)
            if name:
                self._engine.execute(transaction, RenameProjection(table.id, projection, name))
        return Response()

    def drop_projection(self, request: Request) -> Response:
        """Handle DELETE /bucket/schema/table?projection&name=..."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
            projection = find_projection(table, request.query.get("name", ""))
            self._engine.execute(transaction, DropProjection(table.id, projection))
        return Response()

    def list_projection_columns(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?projection-columns&name=..."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
        projection = find_projection(table, request.query.get("name", ""))
        sorted_table = replace(table, sort_columns=projection.sorted_columns)
        return self._columns(request, sorted_table, (c for c in table.columns if c.id in projection.column_ids))

    def projection_statistics(self, request: Request) -> Response:
        """Handle GET /bucket/schema/table?projection-stats&name=..."""
        with self._engine.statement(request.transaction) as transaction:
            table = find_table(transaction.catalog, request)
        projection = find_projection(table, request.query.get("name", ""))
        return Response(body=messages.projection_statistics(projection.store))

    # Parts.

    def _new_columns(self, schema: pa.Schema) -> tuple[Column, ...]:
        if len(set(schema.names)) != len(schema.names):
            raise bad_request("InvalidArgument", "two columns have the same name")
        for field in schema:
            check_type(field, self._settings.cell_limit)
        return tuple(Column(self._engine.next_id(), field.remove_metadata()) for field in schema)

    def _sorting_key(self, request: Request, columns: tuple[Column, ...]) -> tuple[int, ...]:
        places: list[int] = []
        while (header := f"tabular-sorted-column-{len(places)}") in request.headers:
            places.append(request.number(header))
        if places and not self._settings.sorted_tables:
            raise unsupported("sorted tables")
        for place in places:
            if not 0 <= place < len(columns) or ordered_type(columns[place].field.type) is None:
                raise bad_request("InvalidArgument", f"column {place} cannot be part of a sorting key")
        return tuple(columns[place].id for place in places)

    def _page(self, request: Request, entries: list[Entry]) -> tuple[list[Entry], dict[str, str]]:
        """Return the entries of one page, and the headers that say where the next page starts."""
        exact = request.headers.get("tabular-name-exact-match")
        prefix = request.headers.get("tabular-name-prefix", "")
        matches = [e for e in entries if (e.name == exact if exact is not None else e.name.startswith(prefix))]
        start = request.number("tabular-next-key")
        rest = sorted((e for e in matches if e.handle >= start), key=lambda e: e.handle)
        limit = request.number("tabular-max-keys", 1000)
        if self._settings.list_page is not None:
            limit = min(limit, self._settings.list_page)
        page = [] if request.flag("tabular-list-count-only") else rest[:limit]
        truncated = bool(page) and len(rest) > len(page)
        return page, _list_headers(len(matches), rest[len(page)].handle if truncated else 0, truncated=truncated)


def _list_headers(count: int, next_key: int, *, truncated: bool) -> dict[str, str]:
    return {
        "tabular-next-key": str(next_key),
        "tabular-is-truncated": "true" if truncated else "false",
        "tabular-list-count": str(count),
    }


def _described(column: Column, sort_columns: tuple[int, ...]) -> pa.Field:
    """Return a column as column lists show it, with its position in the sorting key."""
    if column.id not in sort_columns:
        return column.field.with_metadata({"VAST:sort_type": "Unsorted"})
    place = str(sort_columns.index(column.id))
    return column.field.with_metadata({"VAST:sort_type": "Sorted", "VAST:sort_index": place})


def _column(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise not_found("TabularNoSuchColumn", f"column {name} does not exist")
    return column


def find_projection(table: Table, name: str) -> Projection:
    """Return a projection of a table.

    Raises:
        ProtocolError: 404, the projection does not exist.
    """
    projection = table.projection(name)
    if projection is None:
        raise not_found("TabularNoSuchProjection", f"projection {name} does not exist")
    return projection


def _vector_index(request: Request, columns: tuple[Column, ...]) -> VectorIndex | None:
    prefix = "tabular-vector-index-"
    name = request.headers.get(f"{prefix}column")
    if name is None:
        return None
    column = next((column for column in columns if column.name == name), None)
    if column is None or not pt.is_fixed_size_list(column.field.type):
        raise bad_request("InvalidArgument", f"invalid vector indexed column name {name}")
    metric = request.headers.get(f"{prefix}distance-metric", "")
    if metric not in _METRICS:
        known = ", ".join(f"'{known}'" for known in _METRICS)
        message = f"invalid vector index distance metric {metric}, supported metrics: {known}"
        raise bad_request("InvalidArgument", message)
    cluster = request.headers.get(f"{prefix}cluster-quantization", _QUANTIZATIONS[0])
    search = request.headers.get(f"{prefix}search-quantization", _QUANTIZATIONS[0])
    if cluster not in _QUANTIZATIONS or search not in _QUANTIZATIONS or (cluster, search) == _QUANTIZATIONS:
        raise bad_request("InvalidArgument", f"invalid vector index quantizations {cluster}, {search}")
    return VectorIndex(name, metric, _METRICS[metric], cluster, search)
