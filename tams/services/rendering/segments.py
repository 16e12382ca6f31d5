"""Segments and Objects as JSON. Of Segments it is the text, because a page holds up to a thousand of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tams.domain.clock import format_time
from tams.domain.objects import Instance, Object
from tams.domain.registration import FailedSegment
from tams.domain.segments import Segment
from tams.domain.timerange import NANOSECONDS, format_bounded, format_timestamp
from tams.services.objects.get_urls import UrlPlan


def segment_texts(
    segments: Iterable[Segment],
    instances: Mapping[str, tuple[Instance, ...]],
    plan: UrlPlan,
    *,
    include_object_timerange: bool,
) -> list[str]:
    """The JSON text of each Segment, as `flow-segment.json` has it. `instances` are those of the Objects that they
    refer to, unless the plan shows no URL.

    A page repeats itself: mostly a Segment begins where the one before it ended, and all of them have the same counts
    and offsets. What was written once is used again, and no dict is made for a row; this takes half the time of that.
    """
    texts: list[str] = []
    known: tuple[int | None, ...] = (None,) * 5
    own_members = ""
    urls = _UrlTexts(instances, plan)
    no_urls, dumps = plan.shows_nothing, orjson.dumps
    instant, written = 0, format_timestamp(0)
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
        if start != instant:
            written = format_timestamp(start)
        start_written = written
        # What `format_timestamp` does, without a call for each row.
        instant, written = end, f"{end // NANOSECONDS}:{end % NANOSECONDS}" if end >= 0 else format_timestamp(end)
        timerange = format_bounded(start, end, closed) if closed else f"[{start_written}_{written})"
        own = (ts_offset, last_duration, sample_offset, sample_count, key_frame_count)
        if own != known:
            known, own_members = own, _own_members(*own)
        members = own_members
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
    """A JSON array of values that are JSON already."""
    return f"[{','.join(texts)}]".encode()


class _UrlTexts(dict[str, str]):
    """The `get_urls` of each Object that is asked for, as JSON: several Segments may refer to one Object."""

    def __init__(self, instances: Mapping[str, tuple[Instance, ...]], plan: UrlPlan) -> None:
        super().__init__()
        self._instances = instances
        self._plan = plan

    def __missing__(self, object_id: str) -> str:
        text = self[object_id] = orjson.dumps(self._plan.entries(self._instances.get(object_id, ()))).decode()
        return text


def _own_members(
    ts_offset: int | None,
    last_duration: int | None,
    sample_offset: int | None,
    sample_count: int | None,
    key_frame_count: int | None,
) -> str:
    """The members of a Segment that neither name its Object nor its timerange, with a comma before each."""
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


def failed_segments_json(failed: Iterable[FailedSegment], now: int) -> dict[str, Any]:
    """What was refused of a list, as `flow-segment-bulk-failure.json` has it. `now` in microseconds."""
    time = format_time(now)
    return {
        "failed_segments": [
            {
                "object_id": request.object_id,
                "timerange": str(request.timerange),
                "error": {
                    "type": type(error).__name__,
                    "summary": str(error),
                    "time": time,
                    "errors": error.errors,
                },
            }
            for request, error in failed
        ]
    }


def object_json(
    item: Object, init_object: Object | None, referenced_by_flows: list[str], plan: UrlPlan
) -> dict[str, Any]:
    """The Object as `object.json` has it; its `timerange` is media's only."""
    body: dict[str, Any] = {"id": item.id, "referenced_by_flows": referenced_by_flows}
    if item.first_flow_id is not None:
        body["first_referenced_by_flow"] = item.first_flow_id
    if item.kind == "media" and item.timerange is not None:
        body["timerange"] = str(item.timerange)
    if item.key_frame_count is not None:
        body["key_frame_count"] = item.key_frame_count
    body["get_urls"] = plan.entries(item.instances)
    if init_object is not None:
        body["init_object"] = {"id": init_object.id, "get_urls": plan.entries(init_object.instances)}
    return body
