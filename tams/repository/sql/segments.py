"""Segments: pages in order of time, overlaps, extent, store and remove.

Segments of a Flow do not overlap, so the order of their starts is the order of their ends. Of the Segments that start
at or before an instant, only the last can end after it: every query by time starts from that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)
from typing_extensions import override

from tams.domain.errors import IntegrityBroken
from tams.domain.segments import Segment
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange
from tams.repository.port import Cursor, Page
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.dialects import integers, texts
from tams.repository.sql.fast_rows import segments_of_rows
from tams.repository.sql.tables import flow_keys, objects, segments

_NAMES = (
    "start_ns",
    "end_ns",
    "closed",
    "object_id",
    "ts_offset",
    "last_duration",
    "sample_offset",
    "sample_count",
    "object_start",
    "object_end",
    "object_closed",
    "key_frame_count",
    "init_object_id",
    "registered",
)
_ROW = ("flow_key", *_NAMES)
_COLUMNS = tuple(segments.c[name] for name in _NAMES)

_OF_FLOW = segments.c.flow_key == bindparam("flow_key")
_start, _end = segments.c.start_ns, segments.c.end_ns

_others = segments.alias("others")
_FIRST_START = func.coalesce(
    select(_others.c.start_ns)
    .where(_others.c.flow_key == bindparam("flow_key"), _others.c.start_ns <= bindparam("beyond"))
    .order_by(_others.c.start_ns.desc())
    .limit(1)
    .scalar_subquery(),
    bindparam("beyond"),
)
"""No Segment that starts earlier overlaps a timerange that starts at `beyond`."""

_OVERLAPPING = (_OF_FLOW, _start >= _FIRST_START, _start < bindparam("before"), _end > bindparam("beyond"))


# Without statistics SQLite chooses the primary key for these, and reads all Segments of the Flow.
_OBJECT_INDEX = "ix_segments_object_id_flow_key_start_ns"
_INIT_INDEX = "ix_segments_init_object_id_flow_key_start_ns"


def _by_object(statement: Select[Any]) -> Select[Any]:
    of_object = segments.c.object_id == bindparam("object_id")
    return statement.where(of_object).with_hint(segments, f"INDEXED BY {_OBJECT_INDEX}", "sqlite")


def _page(*, reverse: bool, continued: bool, of_object: bool) -> Executable:
    statement = select(*_COLUMNS).where(*_OVERLAPPING)
    if continued:
        after: ColumnElement[Any] = bindparam("after")
        statement = statement.where(_start < after if reverse else _start > after)
    if of_object:
        statement = _by_object(statement)
    return statement.order_by(_start.desc() if reverse else _start).limit(bindparam("limit"))


_PAGES = {
    (reverse, continued, of_object): _page(reverse=reverse, continued=continued, of_object=of_object)
    for reverse in (False, True)
    for continued in (False, True)
    for of_object in (False, True)
}


def _within(*, of_object: bool, of_init: bool) -> Executable:
    statement = select(*_COLUMNS).where(
        _OF_FLOW,
        _start >= bindparam("start"),
        _start < bindparam("end"),
        _end <= bindparam("end"),
        segments.c.registered < bindparam("registered_before"),
    )
    if of_object:
        statement = _by_object(statement)
    if of_init:
        statement = statement.where(segments.c.init_object_id == bindparam("init_object_id"))
        if not of_object:
            statement = statement.with_hint(segments, f"INDEXED BY {_INIT_INDEX}", "sqlite")
    return statement.order_by(_start).limit(bindparam("limit"))


_WITHIN = {
    (of_object, of_init): _within(of_object=of_object, of_init=of_init)
    for of_object in (False, True)
    for of_init in (False, True)
}

_LAST_BEFORE = select(_end).where(_OF_FLOW, _start < bindparam("before")).order_by(_start.desc()).limit(1)
_highs = integers("highs")
_LAST_BEFORE_EACH = select(
    _highs.c.key,
    select(_others.c.end_ns)
    .where(_others.c.flow_key == bindparam("flow_key"), _others.c.start_ns < _highs.c.value)
    .order_by(_others.c.start_ns.desc())
    .limit(1)
    .scalar_subquery(),
)

_first = segments.alias("first")
_EXTENT = (
    select(
        select(_first.c.start_ns)
        .where(
            _first.c.flow_key == bindparam("flow_key"),
            _first.c.start_ns >= _FIRST_START,
            _first.c.end_ns > bindparam("beyond"),
        )
        .order_by(_first.c.start_ns)
        .limit(1)
        .scalar_subquery(),
        _end,
        segments.c.closed,
    )
    .where(_OF_FLOW, _start < bindparam("before"))
    .order_by(_start.desc())
    .limit(1)
)

_COUNTS = select(flow_keys.c.segment_count, flow_keys.c.init_count).where(flow_keys.c.key == bindparam("flow_key"))

_object_ids = texts("ids")
_UNREGISTERED = (
    select(_object_ids.c.value)
    .select_from(_object_ids.outerjoin(objects, objects.c.id == _object_ids.c.value))
    .where(func.coalesce(objects.c.kind, "") != "media")
    .limit(1)
)
_ADD = insert(segments)
_newest: ColumnElement[Any] = bindparam("updated")
_ADDED = (
    update(flow_keys)
    .where(flow_keys.c.key == bindparam("flow_key"))
    .values(
        segment_count=flow_keys.c.segment_count + bindparam("more"),
        init_count=flow_keys.c.init_count + bindparam("more_with_init"),
        segments_updated=case((flow_keys.c.segments_updated > _newest, flow_keys.c.segments_updated), else_=_newest),
    )
)

_starts = integers("starts")
_REMOVE = delete(segments).where(_OF_FLOW, _start.in_(select(_starts.c.value))).returning(*_COLUMNS)
_REMOVED = (
    update(flow_keys)
    .where(flow_keys.c.key == bindparam("flow_key"))
    .values(
        segment_count=flow_keys.c.segment_count - bindparam("fewer"),
        init_count=flow_keys.c.init_count - bindparam("fewer_with_init"),
        segments_updated=bindparam("at"),
    )
)


class SegmentReads(ReadPart):
    """Read the Segments under a Flow's key."""

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
        if overlapping.is_empty:
            return Page([], None)
        parameters = {
            "flow_key": flow_key,
            "limit": limit + 1,
            "object_id": object_id,
            **_bounds(overlapping),
        }
        if after is not None:
            parameters["after"] = int(after)
        rows = self._session.rows(_PAGES[reverse, after is not None, object_id is not None], parameters)
        if len(rows) <= limit:
            return Page(segments_of_rows(rows), None)
        rows.pop()
        return Page(segments_of_rows(rows), str(rows[-1][0]))

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
        if within.is_empty:
            return []
        rows = self._session.rows(
            _WITHIN[object_id is not None, init_object_id is not None],
            {
                "flow_key": flow_key,
                "start": MIN_NS if within.start is None else within.start,
                "end": MAX_NS if within.end is None else within.end,
                "object_id": object_id,
                "init_object_id": init_object_id,
                "registered_before": MAX_NS if registered_before is None else registered_before,
                "limit": limit,
            },
        )
        return segments_of_rows(rows)

    @override
    def overlaps(self, flow_key: int, ranges: Sequence[TimeRange]) -> list[bool]:
        bounded = [(r.start, r.end) for r in ranges if r.start is not None and r.end is not None and r.start < r.end]
        if not bounded:
            return [False] * len(ranges)
        # Most Segments are appended: no stored one overlaps the timerange that spans all of them.
        low, high = min(start for start, _ in bounded), max(end for _, end in bounded)
        if not self._has_segment_between(flow_key, low, high):
            return [False] * len(ranges)
        highs = [MIN_NS if r.end is None else r.end for r in ranges]
        rows = self._session.rows(_LAST_BEFORE_EACH, {"flow_key": flow_key, "highs": self._session.array(highs)})
        overlaps = [False] * len(ranges)
        for position, end in rows:
            timerange = ranges[position]
            overlaps[position] = (
                end is not None and timerange.start is not None and not timerange.is_empty and end > timerange.start
            )
        return overlaps

    @override
    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        if overlapping.is_empty:
            return None
        bounds = _bounds(overlapping)
        row = self._session.row(_EXTENT, {"flow_key": flow_key, **bounds})
        if row is None or row[1] <= bounds["beyond"]:
            return None
        return TimeRange(row[0], row[1], bool(row[2]))

    @override
    def init_use(self, flow_key: int) -> tuple[bool, bool]:
        row = self._session.row(_COUNTS, {"flow_key": flow_key})
        return (False, False) if row is None else (row[1] > 0, row[0] > row[1])

    def _has_segment_between(self, flow_key: int, low: int, high: int) -> bool:
        last = self._session.row(_LAST_BEFORE, {"flow_key": flow_key, "before": high})
        return last is not None and last[0] > low


class SegmentWrites(SegmentReads, WritePart):
    """Add and remove Segments under a Flow's key."""

    @override
    def add_segments(self, flow_key: int, segments: Sequence[Segment]) -> None:
        if not segments:
            return
        ordered = sorted(segments)
        if any(first.end > second.start for first, second in pairwise(ordered)) or (
            self._has_segment_between(flow_key, ordered[0].start, ordered[-1].end)
            and any(self.overlaps(flow_key, [segment.timerange for segment in ordered]))
        ):
            raise IntegrityBroken("Segments of one Flow would overlap.")
        session = self._session
        unregistered = session.row(
            _UNREGISTERED, {"ids": session.array(list({segment.object_id for segment in ordered}))}
        )
        if unregistered is not None:
            raise IntegrityBroken(f"Object {unregistered[0]} is not registered.")
        session.run_many(_ADD, _ROW, [(flow_key, *segment) for segment in ordered])
        session.run(
            _ADDED,
            {
                "flow_key": flow_key,
                "more": len(ordered),
                "more_with_init": _with_init(ordered),
                "updated": max(segment.registered for segment in ordered),
            },
        )

    @override
    def remove_segments(self, flow_key: int, segments: Sequence[Segment], at: int) -> list[Segment]:
        session = self._session
        starts = session.array([segment.start for segment in segments])
        taken = set(segments_of_rows(session.returning(_REMOVE, {"flow_key": flow_key, "starts": starts})))
        removed = [segment for segment in dict.fromkeys(segments) if segment in taken]
        # A Segment that has taken the place of one of them stays.
        changed = taken.difference(removed)
        if changed:
            session.run_many(_ADD, _ROW, [(flow_key, *segment) for segment in changed])
        if removed:
            session.run(
                _REMOVED,
                {
                    "flow_key": flow_key,
                    "fewer": len(removed),
                    "fewer_with_init": _with_init(removed),
                    "at": at,
                },
            )
        return removed


def _bounds(overlapping: TimeRange) -> dict[str, Any]:
    return {
        "beyond": MIN_NS if overlapping.start is None else overlapping.start,
        "before": MAX_NS if overlapping.end is None else overlapping.end,
    }


def _with_init(segments: Sequence[Segment]) -> int:
    return sum(segment.init_object_id is not None for segment in segments)
