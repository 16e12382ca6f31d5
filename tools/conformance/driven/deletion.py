"""Deletions that outlast a request: 202, a Flow Delete Request to poll, and no Segment left at the end."""

from __future__ import annotations

import time
from typing import Any

from tools.conformance.driven.documents import new_id, put_flow
from tools.conformance.driven.listings import BAD_PAGING, check_listing, items
from tools.conformance.exchange import Exchange
from tools.conformance.session import Session

SEGMENT_COUNT = 1100
"""More Segments than a service deletes while the client waits."""

_SEGMENTS = "/flows/{flowId}/segments"
_LIST = "/flow-delete-requests"
_ONE = "/flow-delete-requests/{request-id}"
_WAIT_SECONDS = 60


def delete_requests(session: Session) -> None:
    """Delete the Segments of a long Flow, then another Flow with its Segments."""
    emptied_id, deleted_id = _long_flow(session), _long_flow(session)
    names = {"flowId": emptied_id}
    response = session.call("DELETE", _SEGMENTS, names, query={"timerange": f"[0:0_{SEGMENT_COUNT}:0)"}, expect=202)
    finished = _finished(session, response)
    expected = {
        "flow_id": emptied_id,
        "delete_flow": False,
        "status": "done",
        "timerange_to_delete": f"[0:0_{SEGMENT_COUNT}:0)",
    }
    session.expect("the request when it is done", expected, {name: finished.get(name) for name in expected})
    session.expect("no Segment is left", [], items(session, _SEGMENTS, names))
    session.call("GET", "/flows/{flowId}", names, expect=200)
    response = session.call("DELETE", "/flows/{flowId}", {"flowId": deleted_id}, expect=202)
    session.call("GET", "/flows/{flowId}", {"flowId": deleted_id}, expect=404)
    finished = _finished(session, response)
    expected = {"flow_id": deleted_id, "delete_flow": True, "status": "done"}
    session.expect("the request when it is done", expected, {name: finished.get(name) for name in expected})
    session.expect("no Segment is left", [], items(session, _SEGMENTS, {"flowId": deleted_id}))
    _listed(session, {emptied_id, deleted_id})


def _listed(session: Session, flow_ids: set[str]) -> None:
    listed_ids = {request["flow_id"] for request in items(session, _LIST)}
    session.expect("both requests are listed", flow_ids, flow_ids & listed_ids)
    if listed_ids == flow_ids:
        for sort in ("created", "expiry"):
            check_listing(session, _LIST, query={"sort_by": sort})
    for invalid_query in (*BAD_PAGING, {"sort_by": "size"}, {"reverse_order": "perhaps"}):
        session.call("GET", _LIST, query=invalid_query, expect=400)
    for unknown_id in (new_id(), "not-an-id"):
        session.call("GET", _ONE, {"request-id": unknown_id}, expect=404)


def _long_flow(session: Session) -> str:
    """Create a Flow with more Segments than are deleted at once, all of one Object."""
    flow_id: str = put_flow(session)["id"]
    segment = {"object_id": new_id(), "object_timerange": "[0:0_1:0)"}
    urls = [{"label": "elsewhere", "url": "https://example.com/media"}]
    body = [
        {**segment, "timerange": f"[{second}:0_{second + 1}:0)", "ts_offset": f"{second}:0", "get_urls": urls}
        for second in range(SEGMENT_COUNT)
    ]
    session.call("POST", _SEGMENTS, {"flowId": flow_id}, body=body, expect=201)
    return flow_id


def _finished(session: Session, response: Exchange) -> dict[str, Any]:
    """Return the Flow Delete Request when the deletion has ended, or after a minute."""
    if response.status != 202:
        return {}
    delete_request: dict[str, Any] = response.json()
    location = response.headers.get("location", "")
    session.expect("Location is the request's", True, location.endswith(f"{_LIST}/{delete_request['id']}"), response)
    end = time.monotonic() + _WAIT_SECONDS
    while delete_request.get("status") not in {"done", "error"} and time.monotonic() < end:
        time.sleep(0.2)
        # The worker may change the Flow Delete Request between a GET and its HEAD.
        exchange = session.call("GET", _ONE, {"request-id": delete_request["id"]}, expect=200, head=False)
        if exchange.status != 200:
            break
        delete_request = exchange.json()
    session.call("GET", _ONE, {"request-id": delete_request["id"]}, expect=200)
    return delete_request
