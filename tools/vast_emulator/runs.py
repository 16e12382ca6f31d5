"""Stored rows: immutable runs in the order of a key, with the least and greatest value of every zone.

A run never changes, so a snapshot of a table is the list of runs that it had. Deleting a row creates a new `Run` that
shares the data and marks the row as dead.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

RowIds = NDArray[np.int64]
Mask = NDArray[np.bool_]

ZONE_ROWS = 4096
CHUNK_ROWS = 16 * ZONE_ROWS


class Chunk:
    """At most CHUNK_ROWS rows: a record batch whose columns are named by column id, and the rows' ids."""

    def __init__(self, batch: pa.RecordBatch, row_ids: RowIds) -> None:
        self.batch = batch
        self.row_ids = row_ids

    @cached_property
    def _by_row_id(self) -> tuple[RowIds, RowIds]:
        order = np.argsort(self.row_ids, kind="stable")
        return self.row_ids[order], order

    @cached_property
    def span(self) -> tuple[int, int]:
        """Return the least and the greatest row id."""
        return int(self.row_ids.min()), int(self.row_ids.max())

    def offsets(self, row_ids: RowIds) -> RowIds:
        """Return the offsets in this chunk of the rows with these ids, which are in ascending order; skip other ids."""
        least, greatest = self.span
        candidates = row_ids[np.searchsorted(row_ids, least) : np.searchsorted(row_ids, greatest, side="right")]
        if not len(candidates):
            return candidates
        ids, order = self._by_row_id
        places = np.minimum(np.searchsorted(ids, candidates), len(ids) - 1)
        offsets: RowIds = order[places[ids[places] == candidates]]
        return offsets


@dataclass(frozen=True, slots=True)
class Zone:
    """A stretch of at most ZONE_ROWS rows in one chunk; `slot` is the position of its first row in the run."""

    chunk: int
    start: int
    stop: int
    slot: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Facts about one column in every zone of a run. Without `valid`, `least` and `greatest` are placeholders."""

    least: NDArray[Any]
    greatest: NDArray[Any]
    valid: Mask  # at least one cell is not null
    nulls: Mask  # at least one cell is null


class RunData:
    """The rows of a run, dead ones included."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = tuple(chunks)
        self.rows = sum(len(chunk.row_ids) for chunk in self.chunks)
        self.places = {name: place for place, name in enumerate(self.chunks[0].batch.schema.names)}
        self._bounds: dict[str, Bounds | None] = {}

    @classmethod
    def of(cls, batches: Sequence[pa.RecordBatch], row_ids: Sequence[RowIds]) -> Self:
        """Return a run of these batches, which are already in order."""
        chunks: list[Chunk] = []
        for batch, ids in zip(batches, row_ids, strict=True):
            starts = range(0, len(ids), CHUNK_ROWS)
            chunks += [Chunk(batch.slice(start, CHUNK_ROWS), ids[start : start + CHUNK_ROWS]) for start in starts]
        return cls(chunks)

    @cached_property
    def zones(self) -> tuple[Zone, ...]:
        """Return all zones in order."""
        zones: list[Zone] = []
        slot = 0
        for number, chunk in enumerate(self.chunks):
            rows = len(chunk.row_ids)
            starts = range(0, rows, ZONE_ROWS)
            zones += [Zone(number, start, min(start + ZONE_ROWS, rows), slot + start) for start in starts]
            slot += rows
        return tuple(zones)

    @cached_property
    def nbytes(self) -> int:
        """Return the approximate size of the data."""
        return sum(int(chunk.batch.nbytes) for chunk in self.chunks)

    def column(self, chunk: int, key: str, kind: pa.DataType) -> pa.Array:
        """Return a column of a chunk; nulls if the column was added after the run was written."""
        place = self.places.get(key)
        if place is None:
            return pa.nulls(len(self.chunks[chunk].row_ids), kind)
        return self.chunks[chunk].batch.column(place)

    def bounds(self, key: str) -> Bounds | None:
        """Return the bounds of a column; None if values of its type are not compared."""
        if key not in self._bounds:
            self._bounds[key] = self._measure(key)
        return self._bounds[key]

    def _measure(self, key: str) -> Bounds | None:
        place = self.places.get(key)
        if place is None:
            placeholder = np.zeros(len(self.zones), dtype=np.int64)
            return Bounds(placeholder, placeholder, placeholder.astype(bool), ~placeholder.astype(bool))
        kind = ordered_type(self.chunks[0].batch.column(place).type)
        if kind is None:
            return None
        least, greatest, valid, nulls = [], [], [], []
        for zone in self.zones:
            cells = self.chunks[zone.chunk].batch.column(place).slice(zone.start, zone.stop - zone.start)
            ends = pc.min_max(as_ordered(cells, kind))
            least.append(ends["min"].as_py())
            greatest.append(ends["max"].as_py())
            valid.append(cells.null_count < len(cells))
            nulls.append(cells.null_count > 0)
        return Bounds(_values(least, kind), _values(greatest, kind), np.array(valid), np.array(nulls))


def ordered_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type in which cells of a type are compared; None if they are not compared."""
    if pt.is_string(kind) or pt.is_binary(kind):
        return pa.binary()
    if pt.is_date32(kind) or pt.is_time32(kind):
        return pa.int32()
    if pt.is_timestamp(kind) or pt.is_time64(kind):
        return pa.int64()
    if pt.is_float16(kind):
        return pa.float32()
    if pt.is_integer(kind) or pt.is_float32(kind) or pt.is_float64(kind) or pt.is_boolean(kind) or pt.is_decimal(kind):
        return kind
    return None


def as_ordered(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the cells in the type in which they are compared."""
    return cells if cells.type == kind else cells.cast(kind)


def _values(values: list[Any], kind: pa.DataType) -> NDArray[Any]:
    """Return the bounds as an array of a numeric type if possible, else of objects."""
    if pt.is_signed_integer(kind):
        return np.array([0 if value is None else value for value in values], dtype=np.int64)
    if pt.is_floating(kind):
        return np.array([0.0 if value is None else value for value in values], dtype=np.float64)
    placeholder = next((value for value in values if value is not None), 0)
    array = np.empty(len(values), dtype=object)
    array[:] = [placeholder if value is None else value for value in values]
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The rows of a run in one version of a table."""

    data: RunData
    dead: Mapping[int, Mask]
    dead_rows: int = 0

    @property
    def live_rows(self) -> int:
        """Return the number of rows that are not dead."""
        return self.data.rows - self.dead_rows

    def alive(self, zone: Zone) -> Mask | None:
        """Return which rows of a zone are alive; None if all are."""
        dead = self.dead.get(zone.chunk)
        return None if dead is None else ~dead[zone.start : zone.stop]

    def find(self, row_ids: RowIds) -> Iterator[tuple[int, RowIds]]:
        """Yield the live rows with these ids, which are in ascending order, as (chunk, offsets in it)."""
        for number, chunk in enumerate(self.data.chunks):
            offsets = chunk.offsets(row_ids)
            dead = self.dead.get(number)
            if dead is not None and len(offsets):
                offsets = offsets[~dead[offsets]]
            if len(offsets):
                yield number, offsets

    def without(self, row_ids: RowIds) -> "Run":
        """Return this run with the rows with these ids marked as dead."""
        dead, count = dict(self.dead), self.dead_rows
        for number, offsets in self.find(row_ids):
            mask = dead.get(number)
            mask = np.zeros(len(self.data.chunks[number].row_ids), dtype=bool) if mask is None else mask.copy()
            mask[offsets] = True
            dead[number] = mask
            count += len(offsets)
        return self if count == self.dead_rows else Run(self.data, dead, count)

    def living(self) -> Iterator[tuple[int, pa.RecordBatch, RowIds]]:
        """Yield all live rows chunk by chunk."""
        for number, chunk in enumerate(self.data.chunks):
            dead = self.dead.get(number)
            if dead is None:
                yield number, chunk.batch, chunk.row_ids
            elif not dead.all():
                yield number, chunk.batch.filter(pa.array(~dead)), chunk.row_ids[~dead]


def all_row_ids(runs: Sequence[Run]) -> RowIds:
    """Return the ids of all live rows, unordered."""
    parts = [ids for _, _, ids in itertools.chain.from_iterable(run.living() for run in runs)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
