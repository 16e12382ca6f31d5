"""Parser of registration bodies: one Segment or a list of Segments, from plain JSON.

It checks the rules that do not need the store (`flow-segment-post.json`, and the rules in its descriptions);
`tams.domain.registration` checks the others. It is written by hand and not with a schema library, so that a list of a
thousand is read in about ten milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tams.domain.errors import Invalid
from tams.domain.get_urls import LABEL_TAKEN, check_label, check_text, check_url
from tams.domain.limits import MOST_SEGMENTS, MOST_URLS, check_count
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange, parse_bounded, parse_timestamp

OBJECT_ID_BYTES = 1024
"""The longest id of an Object, in bytes of UTF-8."""

_MAX_INTEGER = 2**63 - 1
# Enough messages to correct a list, however many faults it has.
_MOST_FAULTS = 100


class SegmentRequest(NamedTuple):
    """A Segment as a client sends it.

    `ts_offset` and `last_duration` are in nanoseconds. `get_urls` are pairs of URL and label. None means that the
    property was not sent. `timerange` and `object_timerange` are bounded and not empty.
    """

    object_id: str
    timerange: TimeRange
    ts_offset: int | None = None
    last_duration: int | None = None
    object_timerange: TimeRange | None = None
    sample_offset: int | None = None
    sample_count: int | None = None
    key_frame_count: int | None = None
    init_object_id: str | None = None
    get_urls: tuple[tuple[str, str], ...] = ()

    @property
    def object_range(self) -> TimeRange:
        """The range that the Segment uses, on the Object's own timeline: `timerange` shifted by `-ts_offset`."""
        return self.timerange.shifted(-self.ts_offset) if self.ts_offset else self.timerange


def parse_requests(body: Any) -> list[SegmentRequest]:
    """Return the Segments of a request body: one object, or a list of objects. Unknown properties are ignored.

    Raises:
        Invalid: A Segment breaks the schema, and with it the whole list. `errors` has the path of each field at fault
            (`timerange`, `[3].get_urls[0].url`).
    """
    faults: dict[str, list[str]] = {}
    requests: list[SegmentRequest] = []
    if isinstance(body, list):
        check_count("body", len(body), MOST_SEGMENTS)
        for index, item in enumerate(body):
            request = _read(item, f"[{index}]", faults)
            if request is not None:
                requests.append(request)
            elif len(faults) >= _MOST_FAULTS:
                break
    else:
        request = _read(body, "", faults)
        if request is not None:
            requests.append(request)
    if faults:
        path, messages = next(iter(faults.items()))
        raise Invalid(f"{path}: {messages[0]}" if path else messages[0], faults)
    return requests


def bounds(timerange: TimeRange) -> tuple[int, int]:
    """Return the start and the exclusive end of a bounded range, in nanoseconds."""
    start, end = timerange.start, timerange.end
    if start is None or end is None:
        raise ValueError(f"{timerange} is not bounded")
    return start, end


def check_object_id(value: object) -> str:
    """Return the value if it is an Object id, 1 to 1024 bytes of UTF-8; else raise ValueError."""
    return check_text(value, OBJECT_ID_BYTES)


class _Nested(ValueError):
    """Faults inside a property, by the rest of their paths."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__()
        self.faults = faults


def _read(item: Any, path: str, faults: dict[str, list[str]]) -> SegmentRequest | None:
    """Return the Segment of one item, or None after adding its faults to `faults`."""
    if type(item) is not dict:
        faults[path] = ["expected a Segment: an object with object_id and timerange"]
        return None
    values: dict[str, Any] = {}
    item_faults: dict[str, str] = {}
    for name, value in item.items():
        reader = _READERS.get(name)
        if reader is None:
            continue
        try:
            values[name] = reader(value)
        except _Nested as error:
            item_faults.update((name + rest, message) for rest, message in error.faults.items())
        except ValueError as error:
            item_faults[name] = str(error)
    for name in ("object_id", "timerange"):
        if name not in item:
            item_faults[name] = "required"
    if not item_faults:
        request = SegmentRequest(**values)
        _check_together(request, item_faults)
        if not item_faults:
            return request
    prefix = f"{path}." if path else ""
    faults.update((prefix + name, [message]) for name, message in item_faults.items())
    return None


def _check_together(request: SegmentRequest, item_faults: dict[str, str]) -> None:
    """Check the rules that concern two properties; add faults to `item_faults`."""
    if request.ts_offset:
        start, end = bounds(request.timerange)
        if start - request.ts_offset < MIN_NS or end - request.ts_offset > MAX_NS:
            item_faults["ts_offset"] = (
                "the timerange shifted by -ts_offset lies beyond signed 64-bit nanoseconds (the years 1677 to 2262)"
            )
    if request.init_object_id is not None and request.init_object_id == request.object_id:
        item_faults["init_object_id"] = "an Object is media or an initialisation segment, never both"


def _timerange(value: object) -> TimeRange:
    if type(value) is not str:
        raise ValueError('expected a timerange such as "[0:0_10:0)"')
    return parse_bounded(value)


def _timestamp(value: object) -> int:
    if type(value) is not str:
        raise ValueError('expected a timestamp such as "1:40000000"')
    return parse_timestamp(value)


def _duration(value: object) -> int:
    duration = _timestamp(value)
    if duration < 0:
        raise ValueError("must not be negative")
    return duration


def _count(value: object) -> int:
    """Return an integer as JSON Schema defines it: 5.0 is an integer and true is not."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise ValueError("expected an integer")
    if not 0 <= value <= _MAX_INTEGER:
        raise ValueError("must not be negative" if value < 0 else "must not be beyond signed 64 bits")
    return value


def _get_urls(value: object) -> tuple[tuple[str, str], ...]:
    if type(value) is not list or len(value) > MOST_URLS:
        raise ValueError(f"expected a list of at most {MOST_URLS} entries")
    entries: dict[str, str] = {}
    faults: dict[str, str] = {}
    for index, entry in enumerate(value):
        if type(entry) is not dict:
            faults[f"[{index}]"] = "expected an object with url and label"
            continue
        for name, check in (("url", check_url), ("label", check_label)):
            try:
                check(entry[name])
            except KeyError:
                faults[f"[{index}].{name}"] = "required"
            except ValueError as error:
                faults[f"[{index}].{name}"] = str(error)
        label = entry.get("label")
        if isinstance(label, str):
            if label in entries:
                faults[f"[{index}].label"] = LABEL_TAKEN
            entries[label] = entry.get("url", "")
    if faults:
        raise _Nested(faults)
    return tuple((url, label) for label, url in entries.items())


_READERS: dict[str, Callable[[Any], Any]] = {
    "object_id": check_object_id,
    "timerange": _timerange,
    "ts_offset": _timestamp,
    "last_duration": _duration,
    "object_timerange": _timerange,
    "sample_offset": _count,
    "sample_count": _count,
    "key_frame_count": _count,
    "init_object_id": check_object_id,
    "get_urls": _get_urls,
}
