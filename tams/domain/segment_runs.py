"""Runs of Segments: what a deletion is told by (specification, `flows/segments_deleted`).

"The timerange MUST intersect with a Segment which has been deleted at both start and end": a run begins with a deleted
Segment and ends with one. It says that nothing is left in between, so no surviving Segment lies inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange


def gaps(segments: Sequence[Segment]) -> list[TimeRange]:
    """What lies between neighbours of one Flow, in their order in time: where others may have survived."""
    return [
        TimeRange(first.end, second.start) for first, second in pairwise(sorted(segments)) if first.end < second.start
    ]


def runs(segments: Sequence[Segment], occupied: Sequence[bool]) -> list[TimeRange]:
    """The Segments as runs, in order; `occupied` says for each of `gaps` whether another Segment lies there."""
    found: list[TimeRange] = []
    survivors = iter(occupied)
    end: int | None = None
    for segment in sorted(segments):
        if end is None or (end < segment.start and next(survivors)):
            found.append(segment.timerange)
        else:
            found[-1] = replace(found[-1], end=segment.end, closed=segment.closed)
        end = segment.end
    return found
