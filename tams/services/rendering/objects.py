"""Objects as JSON."""

from __future__ import annotations

from typing import Any

from tams.domain.objects import Object
from tams.services.rendering.get_urls import UrlPlan


def object_json(
    item: Object, init_object: Object | None, referenced_by_flows: list[str], plan: UrlPlan
) -> dict[str, Any]:
    """Return the Object as `object.json` describes it. Only media have a `timerange`."""
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
