"""The JSON text of Segments, written by hand for speed: a page holds up to a thousand of them.

`tams.services.rendering.segments.segment_json` is the plain twin. tests/services/test_segment_rendering.py compares the
two for arbitrary Segments; a change of one needs the same change of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from tams.domain.objects import Instance
from tams.domain.segments import Segment
from tams.domain.timerange import NANOSECONDS, format_bounded, format_timestamp
from tams.services.rendering.get_urls import UrlPlan


def segment_texts(
    segments: Iterable[Segment],
    instances: Mapping[str, tuple[Instance, ...]],
    plan: UrlPlan,
    *,
    include_object_timerange: bool,
) -> list[str]:
    """Return the JSON text of each Segment, as `flow-segment.json` describes it.

    `instances` are those of the Objects that the Segments refer to; they may be left out if the plan shows no URL.

    A page repeats itself: most Segments begin where the one before ended, and all have the same counts and offsets.
    Text that was written once is used again, and no dict is made for a row, which takes half the time of making one.
    """
    texts: list[str] = []
    previous_numbers: tuple[int | None, ...] = (None,) * 5
    number_members = ""
    urls = _UrlTexts(instances, plan)
    no_urls, dumps = plan.shows_nothing, orjson.dumps
    boundary, boundary_text = 0, format_timestamp(0)
    for segment in segments:
        (
            start,
            end,
            closed,
            object_id,
            ts_offset,
            last_duration,
            sample_offset,
            sample_count,
            object_start,
            object_end,
            object_closed,
            key_frame_count,
            init_object_id,
            _,
        ) = segment
        start_text = boundary_text if start == boundary else format_timestamp(start)
        boundary = end
        # `format_timestamp`, without a call for each row.
        boundary_text = f"{end // NANOSECONDS}:{end % NANOSECONDS}" if end >= 0 else format_timestamp(end)
        timerange = format_bounded(start, end, closed) if closed else f"[{start_text}_{boundary_text})"
        numbers = (ts_offset, last_duration, sample_offset, sample_count, key_frame_count)
        if numbers != previous_numbers:
            previous_numbers, number_members = numbers, _number_members(*numbers)
        members = number_members
        if include_object_timerange:
            members = f',"object_timerange":"{format_bounded(object_start, object_end, object_closed)}"{members}'
        get_urls = "[]" if no_urls else urls[object_id]
        if init_object_id is not None:
            init_urls = "[]" if no_urls else urls[init_object_id]
            get_urls += f',"init_object":{{"object_id":{dumps(init_object_id).decode()},"get_urls":{init_urls}}}'
        texts.append(
            f'{{"object_id":{dumps(object_id).decode()},"timerange":"{timerange}"{members},"get_urls":{get_urls}}}'
        )
    return texts


def json_array(texts: Iterable[str]) -> bytes:
    """Return a JSON array of values that are JSON texts already."""
    return f"[{','.join(texts)}]".encode()


class _UrlTexts(dict[str, str]):
    """The JSON text of the `get_urls` of each Object, written once: several Segments may refer to one Object."""

    def __init__(self, instances: Mapping[str, tuple[Instance, ...]], plan: UrlPlan) -> None:
        super().__init__()
        self._instances = instances
        self._plan = plan

    def __missing__(self, object_id: str) -> str:
        text = self[object_id] = orjson.dumps(self._plan.entries(self._instances.get(object_id, ()))).decode()
        return text


def _number_members(
    ts_offset: int | None,
    last_duration: int | None,
    sample_offset: int | None,
    sample_count: int | None,
    key_frame_count: int | None,
) -> str:
    """Return the members that hold offsets, durations and counts, each with a comma before it."""
    members = ""
    if ts_offset is not None:
        members += f',"ts_offset":"{format_timestamp(ts_offset)}"'
    if last_duration is not None:
        members += f',"last_duration":"{format_timestamp(last_duration)}"'
    if sample_offset is not None:
        members += f',"sample_offset":{sample_offset}'
    if sample_count is not None:
        members += f',"sample_count":{sample_count}'
    if key_frame_count is not None:
        members += f',"key_frame_count":{key_frame_count}'
    return members
