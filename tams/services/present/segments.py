"""Segments and Objects as JSON: plain dicts, because a page holds up to a thousand of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tams.domain.clock import format_time
from tams.domain.objects import Instance, Object
from tams.domain.registration import FailedSegment
from tams.domain.segments import Segment
from tams.domain.timerange import format_bounded, format_timestamp
from tams.services.get_urls import UrlPlan


def segments_json(
    segments: Iterable[Segment],
    instances: Mapping[str, tuple[Instance, ...]],
    plan: UrlPlan,
    *,
    include_object_timerange: bool,
) -> list[dict[str, Any]]:
    """The Segments as `flow-segment.json` has them. `instances` are those of the Objects that they refer to,
    unless the plan shows no URL."""
    rows: list[dict[str, Any]] = []
    shown: dict[str, list[dict[str, Any]]] = {}

    def get_urls(object_id: str) -> list[dict[str, Any]]:
        urls = shown.get(object_id)
        if urls is None:
            urls = shown[object_id] = plan.entries(instances.get(object_id, ()))
        return urls

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
        row: dict[str, Any] = {"object_id": object_id, "timerange": format_bounded(start, end, closed)}
        if ts_offset is not None:
            row["ts_offset"] = format_timestamp(ts_offset)
        if last_duration is not None:
            row["last_duration"] = format_timestamp(last_duration)
        if include_object_timerange:
            row["object_timerange"] = format_bounded(object_start, object_end, object_closed)
        if sample_offset is not None:
            row["sample_offset"] = sample_offset
        if sample_count is not None:
            row["sample_count"] = sample_count
        if key_frame_count is not None:
            row["key_frame_count"] = key_frame_count
        row["get_urls"] = get_urls(object_id)
        if init_object_id is not None:
            row["init_object"] = {"object_id": init_object_id, "get_urls": get_urls(init_object_id)}
        rows.append(row)
    return rows


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
