"""Flow Segments as rows, flat so that a page of a thousand costs as few Python objects as possible."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tams.domain.timerange import TimeRange


class Segment(NamedTuple):
    """One Segment of a Flow, with the immutable properties of its Object beside it.

    `start` and `end` are half-open nanoseconds on the Flow's timeline, `closed` says that the end was registered
    inclusively. `ts_offset` and `last_duration` are nanoseconds. The `object_*` fields, `key_frame_count` and
    `init_object_id` are copies of the Object's. `registered` is in microseconds and strictly grows within a Flow, so
    that "registered before" is exact whatever the clocks do.
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
    """The Objects that the Segments need: media and init."""
    needed: set[str] = set()
    for segment in segments:
        needed.add(segment.object_id)
        if segment.init_object_id is not None:
            needed.add(segment.init_object_id)
    return needed
