"""The operations of a transaction, which can be applied to any catalog.

A transaction applies its operations to its own copy at once, and to the newest catalog when it commits. Operations
refer to things by id, so that a rename in another transaction does not conflict with them. They raise a 409 error when
another transaction's change makes them impossible.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa
from typing_extensions import override

from tools.vast_emulator.catalog import Catalog, Projection, Schema, Table
from tools.vast_emulator.columns import Column
from tools.vast_emulator.errors import bad_request, conflict
from tools.vast_emulator.runs import RowIds


class Change(Protocol):
    """A change of the catalog."""

    def apply(self, catalog: Catalog) -> None:
        """Change the catalog."""
        ...


class Definition(Change, Protocol):
    """A change of definitions rather than of rows; two transactions cannot define the same name."""

    def names(self) -> tuple[Hashable, ...]:
        """Return the names that the transaction locks until its end."""
        ...


def _schema(catalog: Catalog, schema_id: int) -> Schema:
    schema = catalog.schemas.get(schema_id)
    if schema is None:
        raise conflict("the schema was dropped by another transaction")
    return schema


def _table(catalog: Catalog, table_id: int) -> Table:
    table = catalog.tables.get(table_id)
    if table is None:
        raise conflict("the table was dropped by another transaction")
    return table


@dataclass(frozen=True, slots=True)
class CreateSchema(Definition):
    """Creates a schema."""

    schema: Schema

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("schema", self.schema.bucket, self.schema.path),)

    @override
    def apply(self, catalog: Catalog) -> None:
        if catalog.schema(self.schema.bucket, self.schema.path):
            raise conflict(f"schema {self.schema.path} already exists")
        parent = self.schema.path.rpartition("/")[0]
        if parent and catalog.schema(self.schema.bucket, parent) is None:
            raise conflict(f"schema {parent} does not exist")
        catalog.put_schema(self.schema)


@dataclass(frozen=True, slots=True)
class RenameSchema(Definition):
    """Moves a schema, and all schemas below it, to another path."""

    schema: Schema
    path: str

    @override
    def names(self) -> tuple[Hashable, ...]:
        return ("schema", self.schema.bucket, self.schema.path), ("schema", self.schema.bucket, self.path)

    @override
    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.schema.id)
        if catalog.schema(schema.bucket, self.path):
            raise conflict(f"schema {self.path} already exists")
        for child in list(catalog.schemas.values()):
            if child.bucket == schema.bucket and child.path.startswith(f"{schema.path}/"):
                catalog.put_schema(replace(child, path=self.path + child.path[len(schema.path) :]))
        catalog.put_schema(replace(schema, path=self.path))


@dataclass(frozen=True, slots=True)
class DropSchema(Definition):
    """Drops an empty schema."""

    schema: Schema

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("schema", self.schema.bucket, self.schema.path),)

    @override
    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.schema.id)
        if any(catalog.tables_of(schema)) or any(catalog.child_schemas(schema.bucket, schema.path)):
            raise conflict(f"schema {schema.path} is not empty")
        catalog.drop_schema(schema)


@dataclass(frozen=True, slots=True)
class CreateTable(Definition):
    """Creates a table."""

    table: Table

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("table", self.table.schema_id, self.table.name, self.table.imports_of),)

    @override
    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.table.schema_id)
        if self.table.imports_of is None and catalog.table(schema, self.table.name):
            raise conflict(f"table {self.table.name} already exists")
        catalog.put_table(self.table)


@dataclass(frozen=True, slots=True)
class RenameTable(Definition):
    """Renames a table, or moves it to another schema."""

    table: Table
    schema_id: int
    name: str

    @override
    def names(self) -> tuple[Hashable, ...]:
        return ("table", self.table.schema_id, self.table.name, None), ("table", self.schema_id, self.name, None)

    @override
    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.schema_id)
        if catalog.table(schema, self.name):
            raise conflict(f"table {self.name} already exists")
        catalog.put_table(replace(_table(catalog, self.table.id), schema_id=self.schema_id, name=self.name))


@dataclass(frozen=True, slots=True)
class DropTable(Definition):
    """Drops a table."""

    table: Table

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("table", self.table.schema_id, self.table.name, self.table.imports_of),)

    @override
    def apply(self, catalog: Catalog) -> None:
        catalog.drop_table(_table(catalog, self.table.id))


@dataclass(frozen=True, slots=True)
class SortTable(Definition):
    """Gives a sorting key to a table that has none."""

    table_id: int
    sort_columns: tuple[int, ...]

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("sorting", self.table_id),)

    @override
    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).resorted(self.sort_columns))


@dataclass(frozen=True, slots=True)
class AddColumns(Definition):
    """Adds columns, which are null in every row."""

    table_id: int
    columns: tuple[Column, ...]

    @override
    def names(self) -> tuple[Hashable, ...]:
        return tuple(("column", self.table_id, column.name) for column in self.columns)

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        for column in self.columns:
            if table.column(column.name):
                raise conflict(f"column {column.name} already exists")
        catalog.put_table(replace(table, columns=(*table.columns, *self.columns)))


@dataclass(frozen=True, slots=True)
class RenameColumn(Definition):
    """Renames a column."""

    table_id: int
    column: Column
    name: str

    @override
    def names(self) -> tuple[Hashable, ...]:
        return ("column", self.table_id, self.column.name), ("column", self.table_id, self.name)

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        if table.column(self.name):
            raise conflict(f"column {self.name} already exists")
        columns = tuple(
            Column(c.id, c.field.with_name(self.name)) if c.id == self.column.id else c for c in table.columns
        )
        catalog.put_table(replace(table, columns=columns))


@dataclass(frozen=True, slots=True)
class DropColumns(Definition):
    """Drops columns."""

    table_id: int
    columns: tuple[Column, ...]

    @override
    def names(self) -> tuple[Hashable, ...]:
        return tuple(("column", self.table_id, column.name) for column in self.columns)

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        dropped = {column.id for column in self.columns}
        used = dropped & {*table.sort_columns, *(c for p in table.projections for c in p.column_ids)}
        if used:
            raise bad_request("InvalidArgument", "a column of a sorting key or a projection cannot be dropped")
        catalog.put_table(replace(table, columns=tuple(c for c in table.columns if c.id not in dropped)))


@dataclass(frozen=True, slots=True)
class CreateProjection(Definition):
    """Creates a projection and fills it."""

    table_id: int
    projection: Projection

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("projection", self.table_id, self.projection.name),)

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        if table.projection(self.projection.name):
            raise conflict(f"projection {self.projection.name} already exists")
        catalog.put_table(table.project(self.projection))


@dataclass(frozen=True, slots=True)
class RenameProjection(Definition):
    """Renames a projection."""

    table_id: int
    projection: Projection
    name: str

    @override
    def names(self) -> tuple[Hashable, ...]:
        return ("projection", self.table_id, self.projection.name), ("projection", self.table_id, self.name)

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        if table.projection(self.name):
            raise conflict(f"projection {self.name} already exists")
        projections = tuple(replace(p, name=self.name) if p.id == self.projection.id else p for p in table.projections)
        catalog.put_table(replace(table, projections=projections))


@dataclass(frozen=True, slots=True)
class DropProjection(Definition):
    """Drops a projection."""

    table_id: int
    projection: Projection

    @override
    def names(self) -> tuple[Hashable, ...]:
        return (("projection", self.table_id, self.projection.name),)

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        projections = tuple(p for p in table.projections if p.id != self.projection.id)
        catalog.put_table(replace(table, projections=projections))


@dataclass(frozen=True, slots=True)
class InsertRows(Change):
    """Inserts rows; the batch's columns are named by column id."""

    table_id: int
    batch: pa.RecordBatch
    row_ids: RowIds
    external: bool = False

    @override
    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id).insert(self.batch, self.row_ids)
        catalog.put_table(replace(table, external_row_ids=table.external_row_ids or self.external))


@dataclass(frozen=True, slots=True)
class LoadRows(Change):
    """Inserts rows in bulk; the columns are named by column id."""

    table_id: int
    rows: pa.Table
    row_ids: RowIds

    @override
    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).load(self.rows, self.row_ids))


@dataclass(frozen=True, slots=True)
class UpdateRows(Change):
    """Updates the rows with these ids, which are in ascending order; columns are named by column id."""

    table_id: int
    batch: pa.RecordBatch
    row_ids: RowIds

    @override
    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).update(self.batch, self.row_ids))


@dataclass(frozen=True, slots=True)
class DeleteRows(Change):
    """Deletes the rows with these ids, which are in ascending order."""

    table_id: int
    row_ids: RowIds

    @override
    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).delete(self.row_ids))


_RowOperation = InsertRows | LoadRows | UpdateRows | DeleteRows
Operation = Definition | _RowOperation


def table_of(operation: Operation) -> int | None:
    """Return the id of the table whose rows an operation changes, or None."""
    return operation.table_id if isinstance(operation, _RowOperation) else None


def is_definition(operation: Operation) -> bool:
    """Return True if an operation changes definitions rather than rows."""
    return not isinstance(operation, _RowOperation)


def names_of(operation: Operation) -> tuple[Hashable, ...]:
    """Return what two transactions cannot both change: the names of a definition, or the existing rows that change."""
    if isinstance(operation, UpdateRows | DeleteRows):
        return tuple(("row", operation.table_id, row) for row in operation.row_ids.tolist())
    return () if isinstance(operation, InsertRows | LoadRows) else operation.names()


def kind_of(operation: Operation) -> str:
    """Return what an operation does: "insert", "update" or "delete" rows, or "define"."""
    kinds = {InsertRows: "insert", LoadRows: "insert", UpdateRows: "update", DeleteRows: "delete"}
    return kinds.get(type(operation), "define")
