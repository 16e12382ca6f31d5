"""One version of everything: schemas, tables and projections, found by id or by name.

Tables are immutable; a catalog is changed only by the transaction that owns it, before it is published.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from tools.vast_emulator.columns import Column
from tools.vast_emulator.runs import RowIds
from tools.vast_emulator.stores import Kinds, Store, is_sorted

# The table that records what was imported into another one.
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
        """All its columns."""
        return frozenset((*self.sorted_columns, *self.other_columns))


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """What a client says of a vector index, and reads again; nothing is searched with it."""

    column: str
    metric: str
    function: str
    cluster_quantization: str
    search_quantization: str


@dataclass(frozen=True, slots=True)
class Table:
    """One version of a table. `imports_of` is the table whose imports this one records, if it does."""

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
        """The type of every column by its key."""
        return {column.key: column.field.type for column in self.columns}

    @property
    def has_decimal_row_ids(self) -> bool:
        """Whether row ids are decimals: they are where rows do not lie in the order of their insertion."""
        return bool(self.sort_columns) or self.vector_index is not None

    def column(self, name: str) -> Column | None:
        """A column by name."""
        return next((column for column in self.columns if column.name == name), None)

    def projection(self, name: str) -> Projection | None:
        """A projection by name."""
        return next((projection for projection in self.projections if projection.name == name), None)

    def insert(self, batch: pa.RecordBatch, row_ids: RowIds) -> Self:
        """This table with new rows."""
        changed = self._put(batch, row_ids)
        return replace(changed, inserted_rows=self.inserted_rows + len(row_ids))

    def load(self, rows: pa.Table, row_ids: RowIds) -> Self:
        """This table with many new rows. The first ones are not sorted again, and shared by the table and those of
        its projections in whose order they are.
        """
        batches = [batch for batch in rows.to_batches() if len(batch)]
        parts = np.split(row_ids, np.cumsum([len(batch) for batch in batches])[:-1]) if batches else []
        if not batches or self.store.runs or not is_sorted(rows, self.store.key):
            changed = self
            for batch, part in zip(batches, parts, strict=True):
                changed = changed.insert(batch, part)
            return changed
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
        """This table with the columns of the batch put into the rows of these ids, in ascending order; rows that
        are not here stay so.
        """
        kinds = self.kinds
        rows, found = self.store.fetch(row_ids, kinds)
        if not len(found):
            return self
        places = pa.array(row_ids.searchsorted(found))
        for name in batch.schema.names:
            if name in kinds:
                rows = rows.set_column(rows.schema.get_field_index(name), name, batch[name].take(places))
        return self.delete(row_ids)._put(rows.combine_chunks().to_batches()[0], found)

    def delete(self, row_ids: RowIds) -> Self:
        """This table without the rows of these ids, in ascending order."""
        projections = tuple(replace(p, store=p.store.remove(row_ids)) for p in self.projections)
        return replace(self, store=self.store.remove(row_ids), projections=projections)

    def compact(self) -> Self:
        """The same rows, laid out to be read."""
        kinds = self.kinds
        store = self.store.compact(kinds)
        projections = tuple(
            replace(p, store=p.store.compact(self._kinds_of(p))) if p.store.runs else p for p in self.projections
        )
        return replace(self, store=store, projections=projections)

    def resorted(self, sort_columns: tuple[int, ...]) -> Self:
        """This table, sorted from now on."""
        store = self.store.resorted(tuple(str(column) for column in sort_columns), self.kinds)
        return replace(self, sort_columns=sort_columns, store=store)

    def project(self, projection: Projection) -> Self:
        """This table with one more projection, filled."""
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
        """A batch that can be sorted: an insert may leave out the columns of the key."""
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
        """A catalog of the same things, to be changed."""
        return Catalog(
            self.number,
            dict(self.schemas),
            dict(self.tables),
            dict(self._schema_ids),
            dict(self._table_ids),
            dict(self._imports_ids),
        )

    def schema(self, bucket: str, path: str) -> Schema | None:
        """A schema by its path."""
        found = self._schema_ids.get((bucket, path))
        return None if found is None else self.schemas[found]

    def child_schemas(self, bucket: str, path: str) -> Iterator[tuple[Schema, str]]:
        """The schemas right below a path (empty: the bucket's own), with their last names, oldest first."""
        prefix = f"{path}/" if path else ""
        for schema in self.schemas.values():
            if schema.bucket == bucket and schema.path.startswith(prefix):
                name = schema.path[len(prefix) :]
                if name and "/" not in name:
                    yield schema, name

    def put_schema(self, schema: Schema) -> None:
        """Add or replace a schema."""
        before = self.schemas.get(schema.id)
        if before is not None:
            del self._schema_ids[before.bucket, before.path]
        self.schemas[schema.id] = schema
        self._schema_ids[schema.bucket, schema.path] = schema.id

    def drop_schema(self, schema: Schema) -> None:
        """Remove an empty schema."""
        del self.schemas[schema.id]
        del self._schema_ids[schema.bucket, schema.path]

    def table(self, schema: Schema, name: str) -> Table | None:
        """A table by its name."""
        found = self._table_ids.get((schema.id, name))
        return None if found is None else self.tables[found]

    def imports_table(self, table: Table) -> Table | None:
        """The table that records what was imported into this one."""
        found = self._imports_ids.get(table.id)
        return None if found is None else self.tables[found]

    def tables_of(self, schema: Schema) -> Iterator[Table]:
        """The tables of a schema, oldest first."""
        return (t for t in self.tables.values() if t.schema_id == schema.id and t.imports_of is None)

    def put_table(self, table: Table) -> None:
        """Add or replace a table."""
        if table.imports_of is not None:
            self._imports_ids[table.imports_of] = table.id
        else:
            before = self.tables.get(table.id)
            if before is not None:
                del self._table_ids[before.schema_id, before.name]
            self._table_ids[table.schema_id, table.name] = table.id
        self.tables[table.id] = table

    def drop_table(self, table: Table) -> None:
        """Remove a table and what belongs to it."""
        if table.imports_of is not None:
            del self._imports_ids[table.imports_of]
        else:
            del self._table_ids[table.schema_id, table.name]
            imports = self._imports_ids.pop(table.id, None)
            if imports is not None:
                del self.tables[imports]
        del self.tables[table.id]
