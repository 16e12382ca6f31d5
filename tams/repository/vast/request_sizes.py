"""Splitting of reads and writes into requests that a cluster accepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from tams.repository.vast.predicates import Predicate
from tams.repository.vast.tables import Row

_MAX_BYTES = 3_500_000
"""The largest request that writes. A cluster accepts 5 MiB."""
_MAX_VALUES = 5000
"""The largest `in` of a request. A request holds about 30,000 values."""


def split_predicates(predicates: Sequence[Predicate]) -> list[list[Predicate]]:
    """Return the predicates of each request. A long `in` is split over several requests.

    An `in` without values returns an empty list: no row can match, and no request is needed.
    """
    for position, predicate in enumerate(predicates):
        if predicate.operator == "in":
            values = sorted(predicate.value)
            parts = [values[start : start + _MAX_VALUES] for start in range(0, len(values), _MAX_VALUES)]
            if len(parts) != 1:
                others = [*predicates[:position], *predicates[position + 1 :]]
                return [[*others, Predicate(predicate.column, "in", part)] for part in parts]
    return [list(predicates)]


def record_batch(schema: pa.Schema, rows: Sequence[Row]) -> pa.RecordBatch:
    """Return the rows as an Arrow batch with all columns of `schema`, in its order."""
    return pa.record_batch([pa.array([row[field.name] for row in rows], field.type) for field in schema], schema=schema)


def split_batch(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch in batches that each fit into a request. A single row is never split."""
    parts = -(-batch.nbytes // _MAX_BYTES) or 1
    size = -(-batch.num_rows // parts)
    if parts == 1 or size <= 1:
        yield batch
        return
    for start in range(0, batch.num_rows, size):
        part = batch.slice(start, size)
        if part.nbytes > _MAX_BYTES:
            yield from split_batch(part)
        else:
            yield part
