"""Segments: pages by time, overlap, extent, storing and removing.

Segments of a Flow do not overlap. The row of the Flow has the length of the longest one. So a Segment that overlaps a
range starts at most that long before the range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from typing_extensions import override

from tams.domain.segments import Segment
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange
from tams.repository.port import Cursor, Page
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.predicates import Predicate, among, equal
from tams.repository.vast.scan import density
from tams.repository.vast.scan.ordered import earliest_start, scan_in_order
from tams.repository.vast.tables import FLOWS, OBJECTS, SEGMENTS, Row

_NAMES = SEGMENTS.columns.names[3:]
_MAX_INTERVALS = 32
"""Intervals of start times in one query for overlaps."""


class SegmentReads(ReadPart):
    """Reads of the Segments under a Flow's key."""

    @override
    def segments(
        self,
        flow_key: int,
        overlapping: TimeRange,
        *,
        object_id: str | None,
        reverse: bool,
        after: Cursor | None,
        limit: int,
    ) -> Page[Segment]:
        # The cursor is the start of the last Segment.
        flow = self._flow_row(flow_key)
        if flow is None or overlapping.is_empty:
            return Page([], None)
        low, high, predicates = _overlap_predicates(flow, overlapping)
        if after is not None and reverse:
            high = min(high, int(after))
        elif after is not None:
            low = max(low, int(after) + 1)
        if object_id is not None:
            predicates.append(equal("object_id", object_id))
        selective = object_id is not None
        rows = scan_in_order(self._view, flow, low, high, predicates, limit + 1, reverse=reverse, selective=selective)
        items = [_segment(row) for row in rows[:limit]]
        return Page(items, str(items[-1].start) if len(rows) > limit else None)

    @override
    def segments_within(
        self,
        flow_key: int,
        within: TimeRange,
        limit: int,
        *,
        object_id: str | None = None,
        init_object_id: str | None = None,
        registered_before: int | None = None,
    ) -> list[Segment]:
        flow = self._flow_row(flow_key)
        if flow is None or within.is_empty:
            return []
        low = MIN_NS if within.start is None else within.start
        high = MAX_NS if within.end is None else within.end
        predicates = [Predicate("end_ns", "<=", high)]
        if object_id is not None:
            predicates.append(equal("object_id", object_id))
        if init_object_id is not None:
            predicates.append(equal("init_object_id", init_object_id))
        if registered_before is not None:
            predicates.append(Predicate("registered", "<", registered_before))
        selective = object_id is not None or init_object_id is not None
        rows = scan_in_order(self._view, flow, low, high, predicates, limit, reverse=False, selective=selective)
        return [_segment(row) for row in rows]

    @override
    def overlaps(self, flow_key: int, ranges: Sequence[TimeRange]) -> list[bool]:
        overlapping = [False] * len(ranges)
        flow = self._flow_row(flow_key)
        if flow is None or flow["first_start"] is None:
            return overlapping
        inside = [
            (timerange.start, timerange.end, place)
            for place, timerange in enumerate(ranges)
            if timerange.start is not None
            and timerange.end is not None
            and max(timerange.start, flow["first_start"]) < min(timerange.end, flow["last_end"])
        ]
        if not inside:
            return overlapping
        longest = flow["longest"]
        intervals = _merge_intervals([(earliest_start(longest, start), end) for start, end, _ in inside])
        predicates = [
            equal("flow_key", flow_key),
            Predicate("start_ns", ">=", intervals[0][0]),
            Predicate("start_ns", "<", intervals[-1][1]),
            Predicate("end_ns", ">", min(start for start, _, _ in inside)),
        ]
        if len(intervals) > 1:
            predicates.append(Predicate("start_ns", "within", tuple(intervals)))
        stored = sorted(
            (row["start_ns"], row["end_ns"]) for row in self._view.select(SEGMENTS, ("end_ns",), predicates)
        )
        starts = [start for start, _ in stored]
        for start, end, place in inside:
            # Of the Segments that start before the range ends, the last one ends last.
            before = bisect_left(starts, end) - 1
            overlapping[place] = before >= 0 and stored[before][1] > start and start < end
        return overlapping

    @override
    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        flow = self._flow_row(flow_key)
        if flow is None or flow["first_start"] is None or overlapping.is_empty:
            return None
        if overlapping.start is None and overlapping.end is None:
            return TimeRange(flow["first_start"], flow["last_end"], flow["last_closed"])
        first = self.segments(flow_key, overlapping, object_id=None, reverse=False, after=None, limit=1).items
        if not first:
            return None
        last = self.segments(flow_key, overlapping, object_id=None, reverse=True, after=None, limit=1).items
        return TimeRange(first[0].start, last[0].end, last[0].closed)

    @override
    def init_use(self, flow_key: int) -> tuple[bool, bool]:
        flow = self._flow_row(flow_key)
        return (False, False) if flow is None else (flow["init_count"] > 0, flow["segment_count"] > flow["init_count"])

    def _flow_row(self, flow_key: int) -> Row | None:
        return next(iter(self._view.look_up(FLOWS, "key", [flow_key])), None)


class SegmentWrites(SegmentReads, WritePart):
    """Writes of the Segments under a Flow's key."""

    @override
    def add_segments(self, flow_key: int, segments: Sequence[Segment]) -> None:
        if not segments:
            return
        flow = self._flow_row(flow_key)
        if flow is None:
            raise self._broken(f"there is no Flow key {flow_key}")
        ordered = sorted(segments)
        if any(first.end > second.start for first, second in pairwise(ordered)) or any(
            self.overlaps(flow_key, [segment.timerange for segment in ordered])
        ):
            raise self._broken("Segments of one Flow would overlap")
        object_ids = {segment.object_id for segment in ordered}
        registered = {row["id"] for row in self._view.look_up(OBJECTS, "id", object_ids) if row["kind"] == "media"}
        if registered < object_ids:
            raise self._broken(f"Object {min(object_ids - registered)} is not registered")
        self._require(f"flow {flow['id']}")
        self._require_objects(*object_ids)
        self._unreferenced -= object_ids
        for segment in ordered:
            self._view.add(SEGMENTS, segment_row(flow_key, segment))
        self._view.put(FLOWS, extended_flow_row(flow, ordered))

    @override
    def remove_segments(self, flow_key: int, segments: Sequence[Segment], at: int) -> list[Segment]:
        flow = self._flow_row(flow_key)
        if flow is None or not segments:
            return []
        self._require(f"flow {flow['id']}")
        predicates = [equal("flow_key", flow_key), among("start_ns", {segment.start for segment in segments})]
        stored = {_segment(row) for row in self._view.select(SEGMENTS, SEGMENTS.columns.names, predicates)}
        removed = [segment for segment in dict.fromkeys(segments) if segment in stored]
        if not removed:
            return []
        for segment in removed:
            self._view.remove(SEGMENTS, (flow_key, segment.start))
        changed = {
            **flow,
            "segment_count": flow["segment_count"] - len(removed),
            "init_count": flow["init_count"] - _with_init(removed),
            "segments_updated": at,
        }
        if changed["segment_count"] == 0:
            changed.update(first_start=None, last_end=None, last_closed=None, longest=0, sketch="[]")
        else:
            if any(segment.start == flow["first_start"] for segment in removed):
                changed["first_start"] = self._edge(flow, reverse=False)["start_ns"]
            if any(segment.end == flow["last_end"] for segment in removed):
                last = self._edge(flow, reverse=True)
                changed.update(last_end=last["end_ns"], last_closed=last["closed"])
            histogram = density.clip(density.parse(flow["sketch"]), changed["first_start"], changed["last_end"])
            changed["sketch"] = density.serialize(histogram)
        self._view.put(FLOWS, changed)
        return removed

    def _edge(self, flow: Row, *, reverse: bool) -> Row:
        return scan_in_order(
            self._view, flow, flow["first_start"], flow["last_end"], [], 1, reverse=reverse, selective=False
        )[0]


def extended_flow_row(flow: Row, segments: Sequence[Segment]) -> Row:
    """Return the row of a Flow after new Segments were added, which are in order of time."""
    ranges = [(segment.start, segment.end) for segment in segments]
    last = segments[-1]
    extends = flow["last_end"] is None or last.end > flow["last_end"]
    first_start = segments[0].start if flow["first_start"] is None else min(segments[0].start, flow["first_start"])
    return {
        **flow,
        "segment_count": flow["segment_count"] + len(segments),
        "init_count": flow["init_count"] + _with_init(segments),
        "segments_updated": max(*(segment.registered for segment in segments), _or_min(flow["segments_updated"])),
        "first_start": first_start,
        "last_end": last.end if extends else flow["last_end"],
        "last_closed": last.closed if extends else flow["last_closed"],
        "longest": max(flow["longest"], *(min(MAX_NS, end - start) for start, end in ranges)),
        "sketch": density.serialize(density.extend(density.parse(flow["sketch"]), ranges)),
    }


def _overlap_predicates(flow: Row, timerange: TimeRange) -> tuple[int, int, list[Predicate]]:
    """Return the range of start times of the Segments that overlap a range, and the other predicates for them."""
    high = MAX_NS if timerange.end is None else timerange.end
    if timerange.start is None:
        return MIN_NS, high, []
    return earliest_start(flow["longest"], timerange.start), high, [Predicate("end_ns", ">", timerange.start)]


def _merge_intervals(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges in order, merged where they touch.

    Further ranges are merged across the smallest gaps until at most `_MAX_INTERVALS` are left.
    """
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    gaps = sorted((second[0] - first[1] for first, second in pairwise(joined)), reverse=True)
    least = gaps[_MAX_INTERVALS - 2] if len(gaps) >= _MAX_INTERVALS else 0
    few: list[tuple[int, int]] = []
    for low, high in joined:
        if few and low - few[-1][1] <= least:
            few[-1] = (few[-1][0], high)
        else:
            few.append((low, high))
    return few


def _segment(row: Row) -> Segment:
    return Segment(row["start_ns"], row["end_ns"], *[row[name] for name in _NAMES])


def segment_row(flow_key: int, segment: Segment) -> Row:
    """Return the row of a Segment."""
    return dict(zip(SEGMENTS.columns.names, (flow_key, *segment), strict=True))


def _with_init(segments: Sequence[Segment]) -> int:
    return sum(segment.init_object_id is not None for segment in segments)


def _or_min(moment: int | None) -> int:
    return MIN_NS if moment is None else moment
