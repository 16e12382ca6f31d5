"""A density histogram of a Flow's Segments: at most 64 buckets, each a stretch of time and a number of Segments.

It is only a hint. It says how much time a page is likely to need, in dense and in sparse parts of the Flow. The column
`sketch` holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import orjson

_MAX_BUCKETS = 64
_MAX_BUCKETS_PER_BATCH = 16


class Bucket(NamedTuple):
    """`segments` Segments between the start of the first and the end of the last one (nanoseconds)."""

    start: int
    end: int
    segments: int


def parse(text: str) -> list[Bucket]:
    """Return the buckets in a cell, in order of time."""
    return [Bucket(*values) for values in orjson.loads(text)]


def serialize(buckets: Sequence[Bucket]) -> str:
    """Return the text of a cell."""
    return orjson.dumps([list(bucket) for bucket in buckets]).decode()


def extend(buckets: Sequence[Bucket], ranges: Sequence[tuple[int, int]]) -> list[Bucket]:
    """Return the histogram with additional Segments at these ranges, which are in order of time."""
    merged: list[Bucket] = []
    for bucket in sorted([*buckets, *_buckets_of_batch(ranges)]):
        if merged and bucket.start < merged[-1].end:
            merged[-1] = _join(merged[-1], bucket)
        else:
            merged.append(bucket)
    while len(merged) > _MAX_BUCKETS:
        at = min(range(len(merged) - 1), key=lambda place: _loss(merged[place], merged[place + 1]))
        merged[at : at + 2] = [_join(merged[at], merged[at + 1])]
    return merged


def clip(buckets: Iterable[Bucket], start: int, end: int) -> list[Bucket]:
    """Return the histogram without the parts outside `[start, end)`, after Segments at the ends were removed."""
    return [
        Bucket(max(bucket.start, start), min(bucket.end, end), bucket.segments)
        for bucket in buckets
        if bucket.start < end and bucket.end > start
    ]


def likely_range(buckets: Sequence[Bucket], low: int, high: int, count: int, *, reverse: bool) -> tuple[int, int]:
    """Return the part at the beginning of `[low, high)` that is likely to have `count` Segments.

    `reverse` returns the part at the end.
    """
    missing = float(count)
    for bucket in reversed(buckets) if reverse else buckets:
        start, end = max(bucket.start, low), min(bucket.end, high)
        if start >= end:
            continue
        density = bucket.segments / (bucket.end - bucket.start)
        segments = density * (end - start)
        if segments >= missing:
            length = max(1, int(missing / density))
            return (max(low, end - length), high) if reverse else (low, min(high, start + length))
        missing -= segments
    return low, high


def _buckets_of_batch(ranges: Sequence[tuple[int, int]]) -> list[Bucket]:
    """Return the buckets of one batch of Segments, which is cut at its largest gaps."""
    gaps = [(second[0] - first[1], place) for place, (first, second) in enumerate(pairwise(ranges), start=1)]
    cuts = sorted(place for gap, place in sorted(gaps, reverse=True)[: _MAX_BUCKETS_PER_BATCH - 1] if gap > 0)
    edges = [0, *cuts, len(ranges)]
    return [Bucket(ranges[low][0], ranges[high - 1][1], high - low) for low, high in pairwise(edges) if high > low]


def _join(one: Bucket, other: Bucket) -> Bucket:
    return Bucket(min(one.start, other.start), max(one.end, other.end), one.segments + other.segments)


def _loss(one: Bucket, other: Bucket) -> float:
    """Return how much precision joining two buckets costs: more for many Segments, and much more across a gap."""
    gap = other.start - one.end
    segments = one.segments + other.segments
    return segments * (1 + 100 * gap / (gap + one.end - one.start + other.end - other.start))
