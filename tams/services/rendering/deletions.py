"""Outcomes of deletions, and Flow Delete Requests, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from tams.domain.clock import format_time
from tams.domain.deletion import Counts, DeleteRequest
from tams.domain.errors import Blockers


def delete_request_json(request: DeleteRequest) -> dict[str, Any]:
    """Return the request as `deletion-request.json` describes it."""
    body: dict[str, Any] = {
        "id": request.id,
        "flow_id": request.flow_id,
        "timerange_to_delete": str(request.timerange),
        "timerange_remaining": str(request.remaining),
        "delete_flow": request.delete_flow,
        "created": format_time(request.created),
        "created_by": request.created_by,
        "updated": format_time(request.updated),
        "status": request.status,
    }
    if request.expiry is not None:
        body["expiry"] = format_time(request.expiry)
    if request.error is not None:
        body["error"] = request.error
    return body


def blockers_json(blockers: Blockers) -> dict[str, Any]:
    """Return what prevents a deletion: the property `blocked_by` of an error."""
    return asdict(blockers)


def deleted_json(counts: Counts) -> dict[str, Any]:
    """Return how many of each kind were deleted: the answer to a deletion with `cascade=true`."""
    return {"deleted": asdict(counts)}


def accepted_json(requests: Iterable[DeleteRequest]) -> dict[str, Any]:
    """Return the ids of the requests that carry out one deletion."""
    return {"requests": [request.id for request in requests]}
