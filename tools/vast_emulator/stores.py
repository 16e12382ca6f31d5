"""Stores: the rows of a table, or of a projection of it, as runs in the order of a key."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tools.vast_emulator.runs import ZONE_ROWS, RowIds, Run, RunData

# Number of runs of about the same size that are merged into one.
FAN_OUT = 8
_ROW_ID = "row id"

Kinds = Mapping[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Store:
    """One version of a store. `key` names the columns that rows are sorted by; empty: by row id."""

    key: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()

    @property
    def rows(self) -> int:
        """Return the number of live rows."""
        return sum(run.live_rows for run in self.runs)

    @property
    def nbytes(self) -> int:
        """Return the approximate size of the data, dead rows included."""
        return sum(run.data.nbytes for run in self.runs)

    def insert(self, batch: pa.RecordBatch, row_ids: RowIds) -> Self:
        """Return this store with a run of new rows."""
        if not len(row_ids):
            return self
        batch, row_ids = _sorted(pa.Table.from_batches([batch]), row_ids, self.key)
        return replace(self, runs=(*self.runs, Run(RunData.of([batch], [row_ids]), {})))

    def load(self, batches: Iterable[pa.RecordBatch], row_ids: Sequence[RowIds]) -> Self:
        """Return this store with one run of batches, which are already in the order of the key."""
        return replace(self, runs=(*self.runs, Run(RunData.of(list(batches), row_ids), {})))

    def remove(self, row_ids: RowIds) -> Self:
        """Return this store without the rows with these ids, which are in ascending order."""
        return replace(self, runs=tuple(run.without(row_ids) for run in self.runs))

    def fetch(self, row_ids: RowIds, kinds: Kinds) -> tuple[pa.Table, RowIds]:
        """Return the columns and the ids of the live rows with these ids, which are in ascending order."""
        batches, present_ids = [], []
        for run in self.runs:
            for number, offsets in run.find(row_ids):
                places = pa.array(offsets)
                batches.append(
                    [run.data.column(number, key, kind).take(places) for key, kind in kinds.items()],
                )
                present_ids.append(run.data.chunks[number].row_ids[offsets])
        schema = pa.schema(list(kinds.items()))
        tables = [pa.Table.from_arrays(columns, schema=schema) for columns in batches]
        ids = np.concatenate(present_ids) if present_ids else np.zeros(0, dtype=np.int64)
        return (pa.concat_tables(tables) if tables else schema.empty_table()), ids

    def compact(self, kinds: Kinds) -> Self:
        """Return the same rows in fewer runs, if many have about the same size or a run is mostly dead."""
        runs = [run for run in self.runs if run.live_rows]
        while True:
            tiers: dict[int, list[Run]] = defaultdict(list)
            for run in runs:
                tiers[_tier(run)].append(run)
            group = next((tier for tier in tiers.values() if len(tier) >= FAN_OUT), None)
            if group is None:
                # Merging takes half the time that skipping so many dead rows would take later.
                group = [run for run in runs if run.dead_rows > max(run.live_rows, ZONE_ROWS)]
            if not group:
                return self if len(runs) == len(self.runs) else replace(self, runs=tuple(runs))
            place = runs.index(group[0])
            runs = [run for run in runs if run not in group]
            runs.insert(place, _merge(group, self.key, kinds))

    def resorted(self, key: tuple[str, ...], kinds: Kinds) -> Self:
        """Return the same rows in the order of another key, in one run."""
        living = [run for run in self.runs if run.live_rows]
        return replace(self, key=key, runs=(_merge(living, key, kinds),) if living else ())


def _tier(run: Run) -> int:
    tier, rows = 0, run.live_rows // ZONE_ROWS
    while rows:
        tier, rows = tier + 1, rows // FAN_OUT
    return tier


def _merge(runs: Sequence[Run], key: tuple[str, ...], kinds: Kinds) -> Run:
    schema = pa.schema(list(kinds.items()))
    tables, ids = [], []
    for run in runs:
        for _, batch, row_ids in run.living():
            columns = [
                batch.column(run.data.places[name]) if name in run.data.places else pa.nulls(len(row_ids), kind)
                for name, kind in kinds.items()
            ]
            tables.append(pa.Table.from_arrays(columns, schema=schema))
            ids.append(row_ids)
    batch, row_ids = _sorted(pa.concat_tables(tables), np.concatenate(ids), key)
    return Run(RunData.of([batch], [row_ids]), {})


def _sorted(rows: pa.Table, row_ids: RowIds, key: tuple[str, ...]) -> tuple[pa.RecordBatch, RowIds]:
    """Return the rows in the order of the key, then of their ids."""
    if key:
        keys = pa.Table.from_arrays([rows[name] for name in key], names=[str(n) for n in range(len(key))])
        keys = keys.append_column(_ROW_ID, pa.array(row_ids))
        order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
        ordered = False
    else:
        ordered = bool(np.all(row_ids[1:] > row_ids[:-1]))
        order = None if ordered else pa.array(np.argsort(row_ids, kind="stable"))
    if not ordered:
        rows, row_ids = rows.take(order), row_ids[order.to_numpy()]
    return _one_batch(rows), row_ids


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    columns = [
        column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks) for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def is_sorted(rows: pa.Table, key: Sequence[str]) -> bool:
    """Return True if the rows are in the order of the key.

    With a key of several columns, each batch, and the last and first row of neighbouring batches, are checked.
    """
    if not key:
        return True
    if len(key) == 1:
        cells = rows[key[0]]
        if cells.null_count:
            return bool(cells.null_count == len(cells))
        return bool(pc.all(pc.less_equal(cells.slice(0, len(cells) - 1), cells.slice(1))).as_py() is not False)
    for batch in rows.to_batches():
        order = pc.sort_indices(batch.select(list(key)), sort_keys=[(name, "ascending") for name in key])
        if not np.array_equal(order.to_numpy(), np.arange(len(batch))):
            return False
    ends = [
        (tuple(batch[name][0].as_py() for name in key), tuple(batch[name][-1].as_py() for name in key))
        for batch in rows.to_batches()
        if len(batch)
    ]
    return all(previous[1] <= following[0] for previous, following in pairwise(ends))
