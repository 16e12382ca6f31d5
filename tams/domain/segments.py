"""Flow Segments as rows, and runs of Segments, by which events describe deletions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from tams.domain.timerange import TimeRange


class Segment(NamedTuple):
    """A Segment of a Flow, with copies of the immutable properties of its Object.

    Flat, so that a page of a thousand costs as few Python objects as possible.

    `start` and `end` are half-open nanoseconds on the Flow's timeline; `closed` says that the end was registered
    inclusively. `ts_offset` and `last_duration` are nanoseconds. The `object_*` fields, `key_frame_count` and
    `init_object_id` are copies of the Object's. `registered` is in microseconds and strictly grows within a Flow, so
    that "registered before" is exact whatever the clocks say.
    """

    start: int
    end: int
    closed: bool
    object_id: str
    ts_offset: int | None
    last_duration: int | None
    sample_offset: int | None
    sample_count: int | None
    object_start: int
    object_end: int
    object_closed: bool
    key_frame_count: int | None
    init_object_id: str | None
    registered: int

    @property
    def timerange(self) -> TimeRange:
        """The Segment's range on the Flow's timeline."""
        return TimeRange(self.start, self.end, self.closed)


def object_ids(segments: Iterable[Segment]) -> set[str]:
    """Return the ids of the Objects that the Segments need: media and initialisation Objects."""
    needed: set[str] = set()
    for segment in segments:
        needed.add(segment.object_id)
        if segment.init_object_id is not None:
            needed.add(segment.init_object_id)
    return needed


def gaps(segments: Sequence[Segment]) -> list[TimeRange]:
    """Return the ranges between neighbouring Segments of one Flow, in order of time: others may have survived there."""
    return [
        TimeRange(first.end, second.start) for first, second in pairwise(sorted(segments)) if first.end < second.start
    ]


def runs(segments: Sequence[Segment], occupied: Sequence[bool]) -> list[TimeRange]:
    """Return the ranges of the runs that deleted Segments form, in order of time.

    A run begins with a deleted Segment, ends with one, and has no surviving Segment inside. Specification,
    `flows/segments_deleted`: "The timerange MUST intersect with a Segment which has been deleted at both start and
    end", and no Segment is left between them. `occupied` says for each of `gaps` whether a surviving Segment lies in
    it.
    """
    ranges: list[TimeRange] = []
    survivors = iter(occupied)
    end: int | None = None
    for segment in sorted(segments):
        if end is None or (end < segment.start and next(survivors)):
            ranges.append(segment.timerange)
        else:
            ranges[-1] = replace(ranges[-1], end=segment.end, closed=segment.closed)
        end = segment.end
    return ranges
