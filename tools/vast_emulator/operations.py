"""What a transaction does, as operations that can be applied to any catalog.

A transaction applies its operations to its own copy at once, and to the newest catalog when it commits. They name
things by id, so that another transaction's rename does not stand in their way; where another one's change does, they
raise a 409.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Protocol

import pyarrow as pa

from tools.vast_emulator.catalog import Catalog, Projection, Schema, Table
from tools.vast_emulator.columns import Column
from tools.vast_emulator.errors import bad_request, conflict
from tools.vast_emulator.runs import RowIds


class Change(Protocol):
    """A change of the catalog."""

    def apply(self, catalog: Catalog) -> None:
        """Make the change."""
        ...


class Definition(Change, Protocol):
    """A change of what there is, rather than of rows; two transactions cannot define the same name."""

    def names(self) -> tuple[Hashable, ...]:
        """The names that it takes hold of until the transaction ends."""
        ...


def _schema(catalog: Catalog, schema_id: int) -> Schema:
    found = catalog.schemas.get(schema_id)
    if found is None:
        raise conflict("the schema was dropped by another transaction")
    return found


def _table(catalog: Catalog, table_id: int) -> Table:
    found = catalog.tables.get(table_id)
    if found is None:
        raise conflict("the table was dropped by another transaction")
    return found


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """A new schema."""

    schema: Schema

    def names(self) -> tuple[Hashable, ...]:
        return (("schema", self.schema.bucket, self.schema.path),)

    def apply(self, catalog: Catalog) -> None:
        if catalog.schema(self.schema.bucket, self.schema.path):
            raise conflict(f"there is a schema {self.schema.path}")
        parent = self.schema.path.rpartition("/")[0]
        if parent and catalog.schema(self.schema.bucket, parent) is None:
            raise conflict(f"there is no schema {parent}")
        catalog.put_schema(self.schema)


@dataclass(frozen=True, slots=True)
class RenameSchema:
    """Another path for a schema and all below it."""

    schema: Schema
    path: str

    def names(self) -> tuple[Hashable, ...]:
        return ("schema", self.schema.bucket, self.schema.path), ("schema", self.schema.bucket, self.path)

    def apply(self, catalog: Catalog) -> None:
        before = _schema(catalog, self.schema.id)
        if catalog.schema(before.bucket, self.path):
            raise conflict(f"there is a schema {self.path}")
        for below in list(catalog.schemas.values()):
            if below.bucket == before.bucket and below.path.startswith(f"{before.path}/"):
                catalog.put_schema(replace(below, path=self.path + below.path[len(before.path) :]))
        catalog.put_schema(replace(before, path=self.path))


@dataclass(frozen=True, slots=True)
class DropSchema:
    """No longer a schema, which must be empty."""

    schema: Schema

    def names(self) -> tuple[Hashable, ...]:
        return (("schema", self.schema.bucket, self.schema.path),)

    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.schema.id)
        if any(catalog.tables_of(schema)) or any(catalog.child_schemas(schema.bucket, schema.path)):
            raise conflict(f"schema {schema.path} is not empty")
        catalog.drop_schema(schema)


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A new table."""

    table: Table

    def names(self) -> tuple[Hashable, ...]:
        return (("table", self.table.schema_id, self.table.name, self.table.imports_of),)

    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.table.schema_id)
        if self.table.imports_of is None and catalog.table(schema, self.table.name):
            raise conflict(f"there is a table {self.table.name}")
        catalog.put_table(self.table)


@dataclass(frozen=True, slots=True)
class RenameTable:
    """Another name for a table, maybe in another schema."""

    table: Table
    schema_id: int
    name: str

    def names(self) -> tuple[Hashable, ...]:
        return ("table", self.table.schema_id, self.table.name, None), ("table", self.schema_id, self.name, None)

    def apply(self, catalog: Catalog) -> None:
        schema = _schema(catalog, self.schema_id)
        if catalog.table(schema, self.name):
            raise conflict(f"there is a table {self.name}")
        catalog.put_table(replace(_table(catalog, self.table.id), schema_id=self.schema_id, name=self.name))


@dataclass(frozen=True, slots=True)
class DropTable:
    """No longer a table."""

    table: Table

    def names(self) -> tuple[Hashable, ...]:
        return (("table", self.table.schema_id, self.table.name, self.table.imports_of),)

    def apply(self, catalog: Catalog) -> None:
        catalog.drop_table(_table(catalog, self.table.id))


@dataclass(frozen=True, slots=True)
class SortTable:
    """A sorting key for a table without one."""

    table_id: int
    sort_columns: tuple[int, ...]

    def names(self) -> tuple[Hashable, ...]:
        return (("sorting", self.table_id),)

    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).resorted(self.sort_columns))


@dataclass(frozen=True, slots=True)
class AddColumns:
    """More columns, null in every row."""

    table_id: int
    columns: tuple[Column, ...]

    def names(self) -> tuple[Hashable, ...]:
        return tuple(("column", self.table_id, column.name) for column in self.columns)

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        for column in self.columns:
            if table.column(column.name):
                raise conflict(f"there is a column {column.name}")
        catalog.put_table(replace(table, columns=(*table.columns, *self.columns)))


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """Another name for a column."""

    table_id: int
    column: Column
    name: str

    def names(self) -> tuple[Hashable, ...]:
        return ("column", self.table_id, self.column.name), ("column", self.table_id, self.name)

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        if table.column(self.name):
            raise conflict(f"there is a column {self.name}")
        columns = tuple(
            Column(c.id, c.field.with_name(self.name)) if c.id == self.column.id else c for c in table.columns
        )
        catalog.put_table(replace(table, columns=columns))


@dataclass(frozen=True, slots=True)
class DropColumns:
    """No longer some columns."""

    table_id: int
    columns: tuple[Column, ...]

    def names(self) -> tuple[Hashable, ...]:
        return tuple(("column", self.table_id, column.name) for column in self.columns)

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        dropped = {column.id for column in self.columns}
        used = dropped & {*table.sort_columns, *(c for p in table.projections for c in p.column_ids)}
        if used:
            raise bad_request("InvalidArgument", "a column of a sorting key or a projection cannot be dropped")
        catalog.put_table(replace(table, columns=tuple(c for c in table.columns if c.id not in dropped)))


@dataclass(frozen=True, slots=True)
class CreateProjection:
    """A new projection, filled."""

    table_id: int
    projection: Projection

    def names(self) -> tuple[Hashable, ...]:
        return (("projection", self.table_id, self.projection.name),)

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        if table.projection(self.projection.name):
            raise conflict(f"there is a projection {self.projection.name}")
        catalog.put_table(table.project(self.projection))


@dataclass(frozen=True, slots=True)
class RenameProjection:
    """Another name for a projection."""

    table_id: int
    projection: Projection
    name: str

    def names(self) -> tuple[Hashable, ...]:
        return ("projection", self.table_id, self.projection.name), ("projection", self.table_id, self.name)

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        if table.projection(self.name):
            raise conflict(f"there is a projection {self.name}")
        projections = tuple(replace(p, name=self.name) if p.id == self.projection.id else p for p in table.projections)
        catalog.put_table(replace(table, projections=projections))


@dataclass(frozen=True, slots=True)
class DropProjection:
    """No longer a projection."""

    table_id: int
    projection: Projection

    def names(self) -> tuple[Hashable, ...]:
        return (("projection", self.table_id, self.projection.name),)

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id)
        projections = tuple(p for p in table.projections if p.id != self.projection.id)
        catalog.put_table(replace(table, projections=projections))


@dataclass(frozen=True, slots=True)
class InsertRows:
    """New rows; the batch's columns are named by column id."""

    table_id: int
    batch: pa.RecordBatch
    row_ids: RowIds
    external: bool = False

    def apply(self, catalog: Catalog) -> None:
        table = _table(catalog, self.table_id).insert(self.batch, self.row_ids)
        catalog.put_table(replace(table, external_row_ids=table.external_row_ids or self.external))


@dataclass(frozen=True, slots=True)
class LoadRows:
    """New rows in bulk; the columns are named by column id."""

    table_id: int
    rows: pa.Table
    row_ids: RowIds

    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).load(self.rows, self.row_ids))


@dataclass(frozen=True, slots=True)
class UpdateRows:
    """New values for the rows of these ids, which are in ascending order; columns are named by column id."""

    table_id: int
    batch: pa.RecordBatch
    row_ids: RowIds

    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).update(self.batch, self.row_ids))


@dataclass(frozen=True, slots=True)
class DeleteRows:
    """No longer the rows of these ids, which are in ascending order."""

    table_id: int
    row_ids: RowIds

    def apply(self, catalog: Catalog) -> None:
        catalog.put_table(_table(catalog, self.table_id).delete(self.row_ids))


_RowOperation = InsertRows | LoadRows | UpdateRows | DeleteRows
Operation = Definition | _RowOperation


def table_of(operation: Operation) -> int | None:
    """The table whose rows an operation changes, if it changes rows."""
    return operation.table_id if isinstance(operation, _RowOperation) else None


def is_definition(operation: Operation) -> bool:
    """Whether an operation changes what there is, rather than rows."""
    return not isinstance(operation, _RowOperation)


def names_of(operation: Operation) -> tuple[Hashable, ...]:
    """What two transactions cannot both change: the names of a definition, the existing rows of a change of rows."""
    if isinstance(operation, UpdateRows | DeleteRows):
        return tuple(("row", operation.table_id, row) for row in operation.row_ids.tolist())
    return () if isinstance(operation, InsertRows | LoadRows) else operation.names()


def kind_of(operation: Operation) -> str:
    """What an operation does to rows: insert, update, delete; or define."""
    kinds = {InsertRows: "insert", LoadRows: "insert", UpdateRows: "update", DeleteRows: "delete"}
    return kinds.get(type(operation), "define")
