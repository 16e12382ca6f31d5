"""Flows as JSON."""

from __future__ import annotations

from typing import Any

from tams.domain.clock import format_time
from tams.domain.flows import Flow
from tams.domain.timerange import NEVER, TimeRange


def flow_json(flow: Flow) -> dict[str, Any]:
    """Return the Flow as `flow-get.json` describes it, without `timerange`."""
    body = {
        **flow.metadata,
        "created": format_time(flow.created),
        "metadata_updated": format_time(flow.metadata_updated),
    }
    if flow.segments_updated is not None:
        body["segments_updated"] = format_time(flow.segments_updated)
    if flow.collected_by:
        body["collected_by"] = flow.collected_by
    return body


def flow_json_with_timerange(flow: Flow, timerange: TimeRange | None) -> dict[str, Any]:
    """Return the Flow as `flow-get.json` describes it, with its `timerange`: `()` if it has no Segments."""
    return {**flow_json(flow), "timerange": str(timerange or NEVER)}
