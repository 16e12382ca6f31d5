"""Flows and Sources as JSON."""

from __future__ import annotations

from typing import Any

from tams.domain.clock import format_time
from tams.domain.flows import Flow, Source
from tams.domain.timerange import NEVER, TimeRange


def flow_json(flow: Flow) -> dict[str, Any]:
    """The Flow as `flow-get.json` has it, without `timerange`."""
    shown = {
        **flow.metadata,
        "created": format_time(flow.created),
        "metadata_updated": format_time(flow.metadata_updated),
    }
    if flow.segments_updated is not None:
        shown["segments_updated"] = format_time(flow.segments_updated)
    if flow.collected_by:
        shown["collected_by"] = flow.collected_by
    return shown


def flow_json_with_timerange(flow: Flow, timerange: TimeRange | None) -> dict[str, Any]:
    """The same with its `timerange`: `()` where there are no Segments."""
    return {**flow_json(flow), "timerange": str(timerange or NEVER)}


def source_json(source: Source) -> dict[str, Any]:
    """The Source as `source.json` has it."""
    shown = {**source.metadata, "created": format_time(source.created), "updated": format_time(source.updated)}
    if source.collection:
        shown["source_collection"] = source.collection
    if source.collected_by:
        shown["collected_by"] = source.collected_by
    return shown
