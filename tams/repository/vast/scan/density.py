"""Where the Segments of a Flow lie, roughly: at most 64 stretches of time and how many Segments each has.

Only a hint: it says how much time a page is likely to need, however dense or sparse the Segments are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import orjson

_MOST = 64
_OF_ONE_BATCH = 16


class Stretch(NamedTuple):
    """`held` Segments between the start of the first and the end of the last one."""

    first: int
    last: int
    held: int


def read(text: str) -> list[Stretch]:
    """The stretches, in order of time."""
    return [Stretch(*each) for each in orjson.loads(text)]


def written(stretches: Sequence[Stretch]) -> str:
    """The text of a cell."""
    return orjson.dumps([list(each) for each in stretches]).decode()


def extended(stretches: Sequence[Stretch], ranges: Sequence[tuple[int, int]]) -> list[Stretch]:
    """With Segments at these ranges, too (in order of time)."""
    merged: list[Stretch] = []
    for each in sorted([*stretches, *_stretches(ranges)]):
        if merged and each.first < merged[-1].last:
            merged[-1] = _joined(merged[-1], each)
        else:
            merged.append(each)
    while len(merged) > _MOST:
        at = min(range(len(merged) - 1), key=lambda place: _loss(merged[place], merged[place + 1]))
        merged[at : at + 2] = [_joined(merged[at], merged[at + 1])]
    return merged


def within(stretches: Iterable[Stretch], first: int, last: int) -> list[Stretch]:
    """Without what lies outside, as Segments are removed at the ends."""
    return [
        Stretch(max(each.first, first), min(each.last, last), each.held)
        for each in stretches
        if each.first < last and each.last > first
    ]


def reach(stretches: Sequence[Stretch], low: int, high: int, count: int, *, reverse: bool) -> tuple[int, int]:
    """The part at the beginning (`reverse`: at the end) of `[low, high)` that is likely to have `count` Segments."""
    left = float(count)
    for each in reversed(stretches) if reverse else stretches:
        start, end = max(each.first, low), min(each.last, high)
        if start >= end:
            continue
        density = each.held / (each.last - each.first)
        held = density * (end - start)
        if held >= left:
            length = max(1, int(left / density))
            return (max(low, end - length), high) if reverse else (low, min(high, start + length))
        left -= held
    return low, high


def _stretches(ranges: Sequence[tuple[int, int]]) -> list[Stretch]:
    """One batch, cut at its largest gaps."""
    gaps = [(second[0] - first[1], place) for place, (first, second) in enumerate(pairwise(ranges), start=1)]
    cuts = sorted(place for gap, place in sorted(gaps, reverse=True)[: _OF_ONE_BATCH - 1] if gap > 0)
    edges = [0, *cuts, len(ranges)]
    return [Stretch(ranges[low][0], ranges[high - 1][1], high - low) for low, high in pairwise(edges) if high > low]


def _joined(one: Stretch, other: Stretch) -> Stretch:
    return Stretch(min(one.first, other.first), max(one.last, other.last), one.held + other.held)


def _loss(one: Stretch, other: Stretch) -> float:
    """How much less is known when two are taken for one: more for many Segments, and much more across a gap."""
    gap = other.first - one.last
    return (one.held + other.held) * (1 + 100 * gap / (gap + one.last - one.first + other.last - other.first))
