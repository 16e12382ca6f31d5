"""Segments as JSON, written plainly. Pages and events are written by `fast_segments`, whose text has to be the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tams.domain.clock import format_time
from tams.domain.objects import Instance
from tams.domain.registration import FailedSegment
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange, format_timestamp
from tams.services.rendering.get_urls import UrlPlan


def segment_json(
    segment: Segment,
    instances: Mapping[str, tuple[Instance, ...]],
    plan: UrlPlan,
    *,
    include_object_timerange: bool,
) -> dict[str, Any]:
    """Return the Segment as `flow-segment.json` describes it.

    The plain twin of `fast_segments.segment_texts`, with the same arguments. It defines what that writes.
    """
    body: dict[str, Any] = {"object_id": segment.object_id, "timerange": str(segment.timerange)}
    if include_object_timerange:
        object_range = TimeRange(segment.object_start, segment.object_end, segment.object_closed)
        body["object_timerange"] = str(object_range)
    if segment.ts_offset is not None:
        body["ts_offset"] = format_timestamp(segment.ts_offset)
    if segment.last_duration is not None:
        body["last_duration"] = format_timestamp(segment.last_duration)
    if segment.sample_offset is not None:
        body["sample_offset"] = segment.sample_offset
    if segment.sample_count is not None:
        body["sample_count"] = segment.sample_count
    if segment.key_frame_count is not None:
        body["key_frame_count"] = segment.key_frame_count
    body["get_urls"] = plan.entries(instances.get(segment.object_id, ()))
    if segment.init_object_id is not None:
        body["init_object"] = {
            "object_id": segment.init_object_id,
            "get_urls": plan.entries(instances.get(segment.init_object_id, ())),
        }
    return body


def failed_segments_json(failed: Iterable[FailedSegment], now: int) -> dict[str, Any]:
    """Return the refused Segments as `flow-segment-bulk-failure.json` describes them; `now` is in microseconds."""
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
