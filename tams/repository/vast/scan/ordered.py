"""The first Segments of a range in time order, from an engine that has no order: window by window.

Each window is a range of starts that is likely to hold what is still missing. All Segments of a window are read, up to
a cap; a window that has more is made smaller, because rows beyond a cap may be any. So memory is bounded by the page,
and the number of requests by how far the hint about the Flow (`sketch`) is from the truth.
"""

from __future__ import annotations

from collections.abc import Sequence

from tams.domain.timerange import MAX_NS, MIN_NS
from tams.repository.vast.predicates import Term, equal
from tams.repository.vast.scan import density
from tams.repository.vast.staging import View
from tams.repository.vast.tables import SEGMENTS, Row

_SHRINK = 4
_MOST_GROWTH = 32
_SPARE = 8


def earliest(longest: int, start: int) -> int:
    """Where a Segment that reaches beyond `start` begins at the earliest, none being longer than `longest`."""
    # The longest ones do not fit into a column of 64 bits.
    return MIN_NS if longest >= MAX_NS else max(MIN_NS, start - longest)


def in_order(
    view: View, flow: Row, low: int, high: int, terms: Sequence[Term], count: int, *, reverse: bool, filtered: bool
) -> list[Row]:
    """The first `count` Segments (`reverse`: the last) that begin in `[low, high)` and fulfil the terms.

    `flow` is the row of their Flow. `filtered`: the terms choose few of the Segments, or no one knows how many.
    """
    if flow["first_start"] is None:
        return []
    # Where nothing is, nothing is asked.
    low, high = max(low, flow["first_start"]), min(high, flow["last_end"])
    hint = density.read(flow["sketch"])
    found: list[Row] = []
    growth = 1.0
    whole = filtered
    while low < high and len(found) < count:
        missing = count - len(found)
        aim = int(missing * growth * 1.1) + _SPARE
        start, end = (low, high) if whole else density.reach(hint, low, high, aim, reverse=reverse)
        cap = 2 * missing + 4 * _SPARE
        rows, complete = _window(view, flow["key"], start, end, terms, cap)
        while not complete and end - start > 1:
            length = max(1, (end - start) // _SHRINK)
            start, end = (end - length, end) if reverse else (start, start + length)
            growth = max(growth / _SHRINK, 0.01)
            whole = False
            rows, complete = _window(view, flow["key"], start, end, terms, cap)
        found += sorted(rows, key=lambda row: row["start_ns"], reverse=reverse)
        if len(rows) < missing:
            growth = min(_MOST_GROWTH * growth, growth * max(2.0, aim / max(1, len(rows))))
        low, high = (low, start) if reverse else (end, high)
    return found[:count]


def _window(view: View, flow_key: int, start: int, end: int, terms: Sequence[Term], cap: int) -> tuple[list[Row], bool]:
    bounds = [equal("flow_key", flow_key), Term("start_ns", ">=", start), Term("start_ns", "<", end)]
    return view.bounded(SEGMENTS, SEGMENTS.columns.names, [*bounds, *terms], cap)
