"""Rows as they are kept: immutable runs in the order of a key, with the least and greatest value of every zone.

A run never changes, so a snapshot of a table is the runs it had; deleting a row makes a new `Run` that shares the
data and marks the row dead.
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
    """Up to CHUNK_ROWS rows: a record batch whose columns are named by column id, and the rows' ids."""

    def __init__(self, batch: pa.RecordBatch, row_ids: RowIds) -> None:
        self.batch = batch
        self.row_ids = row_ids

    @cached_property
    def _by_row_id(self) -> tuple[RowIds, RowIds]:
        order = np.argsort(self.row_ids, kind="stable")
        return self.row_ids[order], order

    @cached_property
    def span(self) -> tuple[int, int]:
        """The least and the greatest row id."""
        return int(self.row_ids.min()), int(self.row_ids.max())

    def offsets(self, row_ids: RowIds) -> RowIds:
        """Where the rows of these ids, in ascending order, lie in this chunk; ids that are not here are left out."""
        least, greatest = self.span
        wanted = row_ids[np.searchsorted(row_ids, least) : np.searchsorted(row_ids, greatest, side="right")]
        if not len(wanted):
            return wanted
        ids, order = self._by_row_id
        places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        found: RowIds = order[places[ids[places] == wanted]]
        return found


@dataclass(frozen=True, slots=True)
class Zone:
    """A stretch of at most ZONE_ROWS rows in one chunk; `slot` is the place of its first row in the run."""

    chunk: int
    start: int
    stop: int
    slot: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of one column in every zone of a run. Where `valid` is false, least and greatest mean nothing."""

    least: NDArray[Any]
    greatest: NDArray[Any]
    valid: Mask  # some cell is not null
    nulls: Mask  # some cell is null


class RunData:
    """The rows of a run, whichever of them are dead."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = tuple(chunks)
        self.rows = sum(len(chunk.row_ids) for chunk in self.chunks)
        self.places = {name: place for place, name in enumerate(self.chunks[0].batch.schema.names)}
        self._bounds: dict[str, Bounds | None] = {}

    @classmethod
    def of(cls, batches: Sequence[pa.RecordBatch], row_ids: Sequence[RowIds]) -> Self:
        """A run of these batches, which are in order already."""
        chunks: list[Chunk] = []
        for batch, ids in zip(batches, row_ids, strict=True):
            starts = range(0, len(ids), CHUNK_ROWS)
            chunks += [Chunk(batch.slice(start, CHUNK_ROWS), ids[start : start + CHUNK_ROWS]) for start in starts]
        return cls(chunks)

    @cached_property
    def zones(self) -> tuple[Zone, ...]:
        """All zones in order."""
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
        """About the size of the data."""
        return sum(int(chunk.batch.nbytes) for chunk in self.chunks)

    def column(self, chunk: int, key: str, kind: pa.DataType) -> pa.Array:
        """A column of a chunk; nulls where the column is younger than the run."""
        place = self.places.get(key)
        if place is None:
            return pa.nulls(len(self.chunks[chunk].row_ids), kind)
        return self.chunks[chunk].batch.column(place)

    def bounds(self, key: str) -> Bounds | None:
        """The bounds of a column; None when its type has no order that can be used."""
        if key not in self._bounds:
            self._bounds[key] = self._measure(key)
        return self._bounds[key]

    def _measure(self, key: str) -> Bounds | None:
        place = self.places.get(key)
        if place is None:
            nothing = np.zeros(len(self.zones), dtype=np.int64)
            return Bounds(nothing, nothing, nothing.astype(bool), ~nothing.astype(bool))
        kind = ordered_type(self.chunks[0].batch.column(place).type)
        if kind is None:
            return None
        least, greatest, valid, nulls = [], [], [], []
        for zone in self.zones:
            cells = self.chunks[zone.chunk].batch.column(place).slice(zone.start, zone.stop - zone.start)
            ends = pc.min_max(in_order(cells, kind))
            least.append(ends["min"].as_py())
            greatest.append(ends["max"].as_py())
            valid.append(cells.null_count < len(cells))
            nulls.append(cells.null_count > 0)
        return Bounds(_values(least, kind), _values(greatest, kind), np.array(valid), np.array(nulls))


def ordered_type(kind: pa.DataType) -> pa.DataType | None:
    """The type in which cells of a type are compared; None when they cannot be."""
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


def in_order(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """The cells in the type in which they are compared."""
    return cells if cells.type == kind else cells.cast(kind)


def _values(values: list[Any], kind: pa.DataType) -> NDArray[Any]:
    """The bounds as an array that compares quickly, or at least compares."""
    if pt.is_signed_integer(kind):
        return np.array([0 if value is None else value for value in values], dtype=np.int64)
    if pt.is_floating(kind):
        return np.array([0.0 if value is None else value for value in values], dtype=np.float64)
    some = next((value for value in values if value is not None), 0)
    array = np.empty(len(values), dtype=object)
    array[:] = [some if value is None else value for value in values]
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run as one version of a table has it."""

    data: RunData
    dead: Mapping[int, Mask]
    dead_rows: int = 0

    @property
    def live_rows(self) -> int:
        """Rows that are not dead."""
        return self.data.rows - self.dead_rows

    def alive(self, zone: Zone) -> Mask | None:
        """Which rows of a zone live; None for all."""
        dead = self.dead.get(zone.chunk)
        return None if dead is None else ~dead[zone.start : zone.stop]

    def find(self, row_ids: RowIds) -> Iterator[tuple[int, RowIds]]:
        """The living rows of these ids, which are in ascending order, as (chunk, offsets in it)."""
        for number, chunk in enumerate(self.data.chunks):
            offsets = chunk.offsets(row_ids)
            dead = self.dead.get(number)
            if dead is not None and len(offsets):
                offsets = offsets[~dead[offsets]]
            if len(offsets):
                yield number, offsets

    def without(self, row_ids: RowIds) -> "Run":
        """This run with the rows of these ids dead."""
        dead, count = dict(self.dead), self.dead_rows
        for number, offsets in self.find(row_ids):
            mask = dead.get(number)
            mask = np.zeros(len(self.data.chunks[number].row_ids), dtype=bool) if mask is None else mask.copy()
            mask[offsets] = True
            dead[number] = mask
            count += len(offsets)
        return self if count == self.dead_rows else Run(self.data, dead, count)

    def living(self) -> Iterator[tuple[int, pa.RecordBatch, RowIds]]:
        """All living rows, chunk by chunk."""
        for number, chunk in enumerate(self.data.chunks):
            dead = self.dead.get(number)
            if dead is None:
                yield number, chunk.batch, chunk.row_ids
            elif not dead.all():
                yield number, chunk.batch.filter(pa.array(~dead)), chunk.row_ids[~dead]


def all_row_ids(runs: Sequence[Run]) -> RowIds:
    """The ids of all living rows, in no order."""
    parts = [ids for _, _, ids in itertools.chain.from_iterable(run.living() for run in runs)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
