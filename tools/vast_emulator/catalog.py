"""One version of the database: schemas, tables and projections, by id or by name.

Tables are immutable. Only the transaction that owns a catalog changes it, before it is published.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from tools.vast_emulator.columns import Column
from tools.vast_emulator.runs import RowIds
from tools.vast_emulator.stores import Kinds, Store, is_sorted

# The name of the table that records which objects were imported into another table.
IMPORTS = "vastdb-imported-objects"


@dataclass(frozen=True, slots=True)
class Schema:
    """A container of tables; `path` has a slash for each schema above it."""

    id: int
    bucket: str
    path: str


@dataclass(frozen=True, slots=True)
class Projection:
    """A copy of some columns of a table in another order."""

    id: int
    name: str
    sorted_columns: tuple[int, ...]
    other_columns: tuple[int, ...]
    store: Store

    @property
    def column_ids(self) -> frozenset[int]:
        """Return the ids of all columns of the projection."""
        return frozenset((*self.sorted_columns, *self.other_columns))


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The description of a vector index, stored so that clients can read it back; no search uses it."""

    column: str
    metric: str
    function: str
    cluster_quantization: str
    search_quantization: str


@dataclass(frozen=True, slots=True)
class Table:
    """One version of a table. `imports_of` is the id of the table whose imports this one records, if it does."""

    id: int
    schema_id: int
    name: str
    columns: tuple[Column, ...]
    store: Store
    sort_columns: tuple[int, ...] = ()
    projections: tuple[Projection, ...] = ()
    vector_index: VectorIndex | None = None
    external_row_ids: bool = False
    inserted_rows: int = 0
    imports_of: int | None = None

    @property
    def kinds(self) -> Kinds:
        """Return the type of every column by column key."""
        return {column.key: column.field.type for column in self.columns}

    @property
    def has_decimal_row_ids(self) -> bool:
        """Return True if row ids are decimals, as in tables that do not store rows in insertion order."""
        return bool(self.sort_columns) or self.vector_index is not None

    def column(self, name: str) -> Column | None:
        """Return the column with this name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def projection(self, name: str) -> Projection | None:
        """Return the projection with this name, or None."""
        return next((projection for projection in self.projections if projection.name == name), None)

    def insert(self, batch: pa.RecordBatch, row_ids: RowIds) -> Self:
        """Return a version of this table with new rows."""
        table = self._put(batch, row_ids)
        return replace(table, inserted_rows=self.inserted_rows + len(row_ids))

    def load(self, rows: pa.Table, row_ids: RowIds) -> Self:
        """Return a version of this table with many new rows.

        Rows loaded into an empty table in the order of its key are not sorted again. The table shares them with those
        of its projections that have the same order.
        """
        batches = [batch for batch in rows.to_batches() if len(batch)]
        parts = np.split(row_ids, np.cumsum([len(batch) for batch in batches])[:-1]) if batches else []
        if not batches or self.store.runs or not is_sorted(rows, self.store.key):
            table = self
            for batch, part in zip(batches, parts, strict=True):
                table = table.insert(batch, part)
            return table
        projections = []
        for projection in self.projections:
            kinds, store = self._kinds_of(projection), projection.store
            columns = rows.select([key for key in kinds if key in rows.column_names])
            if set(columns.column_names) == set(kinds) and is_sorted(columns, store.key):
                store = store.load(columns.to_batches(), parts)
            else:
                for batch, part in zip(batches, parts, strict=True):
                    store = store.insert(self._projected(projection, batch), part)
            projections.append(replace(projection, store=store))
        store = self.store.load(batches, parts)
        return replace(self, store=store, projections=tuple(projections), inserted_rows=len(row_ids))

    def update(self, batch: pa.RecordBatch, row_ids: RowIds) -> Self:
        """Return a version of this table in which the rows with these ids have the values of the batch.

        `row_ids` is in ascending order. Ids of rows that the table does not contain are ignored.
        """
        kinds = self.kinds
        rows, present_ids = self.store.fetch(row_ids, kinds)
        if not len(present_ids):
            return self
        places = pa.array(row_ids.searchsorted(present_ids))
        for name in batch.schema.names:
            if name in kinds:
                rows = rows.set_column(rows.schema.get_field_index(name), name, batch[name].take(places))
        return self.delete(row_ids)._put(rows.combine_chunks().to_batches()[0], present_ids)

    def delete(self, row_ids: RowIds) -> Self:
        """Return a version of this table without the rows with these ids, which are in ascending order."""
        projections = tuple(replace(p, store=p.store.remove(row_ids)) for p in self.projections)
        return replace(self, store=self.store.remove(row_ids), projections=projections)

    def compact(self) -> Self:
        """Return a version of this table whose rows are merged into fewer runs, for faster reads."""
        kinds = self.kinds
        store = self.store.compact(kinds)
        projections = tuple(
            replace(p, store=p.store.compact(self._kinds_of(p))) if p.store.runs else p for p in self.projections
        )
        return replace(self, store=store, projections=projections)

    def resorted(self, sort_columns: tuple[int, ...]) -> Self:
        """Return a version of this table that is sorted by these columns."""
        store = self.store.resorted(tuple(str(column) for column in sort_columns), self.kinds)
        return replace(self, sort_columns=sort_columns, store=store)

    def project(self, projection: Projection) -> Self:
        """Return a version of this table with another projection, filled with the table's rows."""
        key = tuple(str(column) for column in projection.sorted_columns)
        store = self.store.resorted(key, self._kinds_of(projection))
        return replace(self, projections=(*self.projections, replace(projection, store=store)))

    def _kinds_of(self, projection: Projection) -> Kinds:
        return {column.key: column.field.type for column in self.columns if column.id in projection.column_ids}

    def _put(self, batch: pa.RecordBatch, row_ids: RowIds) -> Self:
        projections = []
        for projection in self.projections:
            part = self._projected(projection, batch)
            projections.append(replace(projection, store=projection.store.insert(part, row_ids)))
        complete = self._with_sort_columns(batch)
        return replace(self, store=self.store.insert(complete, row_ids), projections=tuple(projections))

    def _projected(self, projection: Projection, batch: pa.RecordBatch) -> pa.RecordBatch:
        kinds = self._kinds_of(projection)
        columns = [
            batch[key] if key in batch.schema.names else pa.nulls(len(batch), kind) for key, kind in kinds.items()
        ]
        return pa.RecordBatch.from_arrays(columns, names=list(kinds))

    def _with_sort_columns(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with all columns of the sorting key; an insert may leave some of them out."""
        for column in self.columns:
            if column.id in self.sort_columns and column.key not in batch.schema.names:
                batch = batch.append_column(column.key, pa.nulls(len(batch), column.field.type))
        return batch


@dataclass(slots=True)
class Catalog:
    """All schemas and tables of all buckets. `number` counts the commits that led here."""

    number: int = 0
    schemas: dict[int, Schema] = field(default_factory=dict)
    tables: dict[int, Table] = field(default_factory=dict)
    _schema_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    _table_ids: dict[tuple[int, str], int] = field(default_factory=dict)
    _imports_ids: dict[int, int] = field(default_factory=dict)

    def copy(self) -> "Catalog":
        """Return a catalog with the same content, for a transaction to change."""
        return Catalog(
            self.number,
            dict(self.schemas),
            dict(self.tables),
            dict(self._schema_ids),
            dict(self._table_ids),
            dict(self._imports_ids),
        )

    def schema(self, bucket: str, path: str) -> Schema | None:
        """Return the schema at this path, or None."""
        schema_id = self._schema_ids.get((bucket, path))
        return None if schema_id is None else self.schemas[schema_id]

    def child_schemas(self, bucket: str, path: str) -> Iterator[tuple[Schema, str]]:
        """Yield the schemas directly below a path and their last names, oldest first.

        An empty path stands for the top of the bucket.
        """
        prefix = f"{path}/" if path else ""
        for schema in self.schemas.values():
            if schema.bucket == bucket and schema.path.startswith(prefix):
                name = schema.path[len(prefix) :]
                if name and "/" not in name:
                    yield schema, name

    def put_schema(self, schema: Schema) -> None:
        """Add or replace a schema."""
        previous = self.schemas.get(schema.id)
        if previous is not None:
            del self._schema_ids[previous.bucket, previous.path]
        self.schemas[schema.id] = schema
        self._schema_ids[schema.bucket, schema.path] = schema.id

    def drop_schema(self, schema: Schema) -> None:
        """Remove an empty schema."""
        del self.schemas[schema.id]
        del self._schema_ids[schema.bucket, schema.path]

    def table(self, schema: Schema, name: str) -> Table | None:
        """Return the table of a schema with this name, or None."""
        table_id = self._table_ids.get((schema.id, name))
        return None if table_id is None else self.tables[table_id]

    def imports_table(self, table: Table) -> Table | None:
        """Return the table that records what was imported into `table`, or None."""
        table_id = self._imports_ids.get(table.id)
        return None if table_id is None else self.tables[table_id]

    def tables_of(self, schema: Schema) -> Iterator[Table]:
        """Yield the tables of a schema, oldest first."""
        return (t for t in self.tables.values() if t.schema_id == schema.id and t.imports_of is None)

    def put_table(self, table: Table) -> None:
        """Add or replace a table."""
        if table.imports_of is not None:
            self._imports_ids[table.imports_of] = table.id
        else:
            previous = self.tables.get(table.id)
            if previous is not None:
                del self._table_ids[previous.schema_id, previous.name]
            self._table_ids[table.schema_id, table.name] = table.id
        self.tables[table.id] = table

    def drop_table(self, table: Table) -> None:
        """Remove a table and its imports table."""
        if table.imports_of is not None:
            del self._imports_ids[table.imports_of]
        else:
            del self._table_ids[table.schema_id, table.name]
            imports_id = self._imports_ids.pop(table.id, None)
            if imports_id is not None:
                del self.tables[imports_id]
        del self.tables[table.id]
