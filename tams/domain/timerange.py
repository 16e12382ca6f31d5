"""Media time: signed nanoseconds, and ranges of them.

A timestamp is written `seconds:nanoseconds`, with an optional minus that applies to both parts (specification,
`timestamp.json`). Inside the store it is an `int` of nanoseconds, and a range is the half-open pair `[start, end)`: an
inclusive end `b]` is `b + 1 ns` and an exclusive start `(a` is `a + 1 ns`, so that all comparisons are of integers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NANOSECONDS = 1_000_000_000
MIN_NS = -(2**63)
MAX_NS = 2**63 - 1

_TIMESTAMP = r"(-?)(0|[1-9][0-9]*):(0|[1-9][0-9]{0,8})"
_TIMESTAMP_PATTERN = re.compile(_TIMESTAMP, re.ASCII)
_TIMERANGE_PATTERN = re.compile(rf"([\[(])?(?:{_TIMESTAMP})?(?:(_)(?:{_TIMESTAMP})?)?([\])])?", re.ASCII)
# Numbers with more digits exceed every limit here, and Python refuses to convert very long ones.
_MOST_DIGITS = 20
_LIMIT = "it lies beyond signed 64-bit nanoseconds (the years 1677 to 2262)"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The half-open range `[start, end)` in nanoseconds; `None` is unbounded. It is empty if `end <= start`.

    `closed` only affects how the end is printed: as `end - 1 ns` inclusive, the way it was registered. Comparisons
    ignore it.
    """

    start: int | None
    end: int | None
    closed: bool = field(default=False, compare=False)

    @property
    def is_empty(self) -> bool:
        """True if the range holds no instant."""
        return self.start is not None and self.end is not None and self.end <= self.start

    def overlaps(self, other: TimeRange) -> bool:
        """Return True if the two ranges share an instant."""
        if self.is_empty or other.is_empty:
            return False
        return (self.start is None or other.end is None or self.start < other.end) and (
            other.start is None or self.end is None or other.start < self.end
        )

    def contains(self, other: TimeRange) -> bool:
        """Return True if `other` is not empty and lies wholly inside."""
        if other.is_empty:
            return False
        return (self.start is None or (other.start is not None and self.start <= other.start)) and (
            self.end is None or (other.end is not None and other.end <= self.end)
        )

    def shifted(self, offset: int) -> TimeRange:
        """Return the range moved by `offset` nanoseconds."""
        return TimeRange(
            None if self.start is None else self.start + offset,
            None if self.end is None else self.end + offset,
            self.closed,
        )

    def __str__(self) -> str:
        return format_timerange(self)


ETERNITY = TimeRange(None, None)
NEVER = TimeRange(0, 0)


def parse_timestamp(text: str) -> int:
    """Return the nanoseconds of a timestamp. Raises ValueError if it is malformed or beyond signed 64 bits."""
    match = _TIMESTAMP_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError('expected a timestamp such as "1:40000000" or "-0:40000000" (seconds:nanoseconds)')
    value = _nanoseconds(*match.groups())
    if not MIN_NS <= value <= MAX_NS:
        raise ValueError(_LIMIT)
    return value


def parse_query(text: str) -> TimeRange:
    """Return the range of a query, which may be open, exclusive, empty or unlimited, clamped to what can be stored.

    Raises:
        ValueError: The text does not match the pattern of `timerange.json`.
    """
    match = _match(text)
    opening, s1, s2, s3, separator, e1, e2, e3, closing = match.groups()
    if s2 is None and e2 is None:
        return ETERNITY if separator else NEVER
    start = None if s2 is None else _nanoseconds(s1, s2, s3)
    if separator is None:
        # An instant: an exclusive mark on either side makes it empty.
        if opening == "(" or closing == ")" or start is None:
            return NEVER
        return _clamped(start, start + 1, closed=True)
    end = None if e2 is None else _nanoseconds(e1, e2, e3)
    closed = end is not None and closing != ")"
    if start is not None and opening == "(":
        start += 1
    if end is not None and closed:
        end += 1
    if start is not None and end is not None and end <= start:
        return NEVER
    return _clamped(start, end, closed=closed)


def parse_bounded(text: str) -> TimeRange:
    """Return the range of a Segment or an Object: bounded, not empty, with an inclusive start, within signed 64 bits.

    Raises:
        ValueError: The text is not such a range; the message says why.
    """
    match = _match(text)
    opening, s1, s2, s3, separator, e1, e2, e3, closing = match.groups()
    if opening == "(":
        raise ValueError('the start has to be inclusive: write "[" in place of "("')
    if s2 is None or (separator is not None and e2 is None):
        raise ValueError('both ends have to be given, as in "[0:0_10:0)"')
    start = _nanoseconds(s1, s2, s3)
    closed = closing != ")"
    if separator is None:
        if not closed:
            raise ValueError('it is empty: write an instant as "[1:0]"')
        end = start + 1
    else:
        end = _nanoseconds(e1, e2, e3)
        if closed:
            end += 1
    if end <= start:
        raise ValueError("it is empty or reversed: the end has to come after the start")
    if start < MIN_NS or end > MAX_NS:
        raise ValueError(_LIMIT)
    return TimeRange(start, end, closed)


def format_timestamp(nanoseconds: int) -> str:
    """Return `seconds:nanoseconds` without leading zeros: each instant has one such form."""
    if nanoseconds < 0:
        return f"-{-nanoseconds // NANOSECONDS}:{-nanoseconds % NANOSECONDS}"
    return f"{nanoseconds // NANOSECONDS}:{nanoseconds % NANOSECONDS}"


def format_timerange(timerange: TimeRange) -> str:
    """Return the text of a range: `[a_b)`, `_`, `()`, or for a closed range `[a_b]` and `[a]`."""
    start, end = timerange.start, timerange.end
    if timerange.is_empty:
        return "()"
    if start is not None and end is not None:
        return format_bounded(start, end, timerange.closed)
    left = "" if start is None else f"[{format_timestamp(start)}"
    if end is None:
        return f"{left}_"
    return f"{left}_{format_timestamp(end - 1)}]" if timerange.closed else f"{left}_{format_timestamp(end)})"


def format_bounded(start: int, end: int, closed: bool) -> str:
    """Return the text of `[start, end)`. Takes plain integers (nanoseconds), because it runs once per row of a page."""
    if not closed:
        if start < 0:
            return f"[{format_timestamp(start)}_{format_timestamp(end)})"
        return f"[{start // NANOSECONDS}:{start % NANOSECONDS}_{end // NANOSECONDS}:{end % NANOSECONDS})"
    if end - start == 1:
        return f"[{format_timestamp(start)}]"
    return f"[{format_timestamp(start)}_{format_timestamp(end - 1)}]"


def _match(text: str) -> re.Match[str]:
    match = _TIMERANGE_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError('expected a timerange such as "[0:0_10:0)", "[5:0_", "[3:0]" or "_"')
    return match


def _nanoseconds(sign: str, seconds: str, nanoseconds: str) -> int:
    value = 10**30 if len(seconds) > _MOST_DIGITS else int(seconds) * NANOSECONDS + int(nanoseconds)
    return -value if sign else value


def _clamped(start: int | None, end: int | None, *, closed: bool) -> TimeRange:
    """Return the range without bounds beyond `[MIN_NS, MAX_NS]`, where nothing is stored.

    A range that lies wholly beyond the limits is empty.
    """
    if (start is not None and start > MAX_NS) or (end is not None and end <= MIN_NS):
        return NEVER
    if start is not None and start <= MIN_NS:
        start = None
    if end is not None and end > MAX_NS:
        end, closed = None, False
    return TimeRange(start, end, closed)
