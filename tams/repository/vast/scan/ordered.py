"""The ordered scan: the first Segments of a range in time order, read window by window.

The cluster returns rows in no order. So a window is a range of start times that is likely to hold the missing Segments.
All Segments of a window are read, up to a cap. A window with more is made smaller, because the rows below a cap are an
arbitrary choice. So memory is bounded by the size of the page. The number of requests depends on how closely the
density histogram of the Flow fits.
"""

from __future__ import annotations

from collections.abc import Sequence

from tams.domain.timerange import MAX_NS, MIN_NS
from tams.repository.vast.predicates import Predicate, equal
from tams.repository.vast.scan import density
from tams.repository.vast.staging import StagedView
from tams.repository.vast.tables import SEGMENTS, Row

_SHRINK = 4
_MAX_GROWTH = 32
_SPARE = 8


def earliest_start(longest: int, start: int) -> int:
    """Return the earliest start of a Segment that reaches beyond `start`, if none is longer than `longest`."""
    # The longest Segments do not fit into a column of 64 bits.
    return MIN_NS if longest >= MAX_NS else max(MIN_NS, start - longest)


def scan_in_order(
    view: StagedView,
    flow: Row,
    low: int,
    high: int,
    predicates: Sequence[Predicate],
    count: int,
    *,
    reverse: bool,
    selective: bool,
) -> list[Row]:
    """Return the first `count` Segments (`reverse`: the last) that start in `[low, high)` and match the predicates.

    `flow` is the row of their Flow. `selective`: the predicates match few of its Segments, or an unknown share.
    """
    if flow["first_start"] is None:
        return []
    # No query reaches beyond the Segments of the Flow.
    low, high = max(low, flow["first_start"]), min(high, flow["last_end"])
    histogram = density.parse(flow["sketch"])
    segments: list[Row] = []
    growth = 1.0
    whole = selective
    while low < high and len(segments) < count:
        missing = count - len(segments)
        target = int(missing * growth * 1.1) + _SPARE
        start, end = (low, high) if whole else density.likely_range(histogram, low, high, target, reverse=reverse)
        cap = 2 * missing + 4 * _SPARE
        rows, complete = _read_window(view, flow["key"], start, end, predicates, cap)
        while not complete and end - start > 1:
            length = max(1, (end - start) // _SHRINK)
            start, end = (end - length, end) if reverse else (start, start + length)
            growth = max(growth / _SHRINK, 0.01)
            whole = False
            rows, complete = _read_window(view, flow["key"], start, end, predicates, cap)
        segments += sorted(rows, key=lambda row: row["start_ns"], reverse=reverse)
        if len(rows) < missing:
            growth = min(_MAX_GROWTH * growth, growth * max(2.0, target / max(1, len(rows))))
        low, high = (low, start) if reverse else (end, high)
    return segments[:count]


def _read_window(
    view: StagedView, flow_key: int, start: int, end: int, predicates: Sequence[Predicate], cap: int
) -> tuple[list[Row], bool]:
    window = [equal("flow_key", flow_key), Predicate("start_ns", ">=", start), Predicate("start_ns", "<", end)]
    return view.bounded(SEGMENTS, SEGMENTS.columns.names, [*window, *predicates], cap)
