"""Deletions that take longer than a request: 202, a Flow Delete Request to watch, and nothing left at its end."""

from __future__ import annotations

import time
from typing import Any

from tools.conformance.driven.documents import new_id, put_flow
from tools.conformance.driven.listings import BAD_PAGING, check_listing, items
from tools.conformance.exchange import Exchange
from tools.conformance.session import Session

MANY = 1100
"""More Segments than a service deletes within the request."""

_SEGMENTS = "/flows/{flowId}/segments"
_LIST = "/flow-delete-requests"
_ONE = "/flow-delete-requests/{request-id}"
_WAIT_SECONDS = 60


def delete_requests(session: Session) -> None:
    """Delete the Segments of one long Flow, and another with its Segments."""
    emptied, deleted = _long_flow(session), _long_flow(session)
    names = {"flowId": emptied}
    accepted = session.call("DELETE", _SEGMENTS, names, query={"timerange": f"[0:0_{MANY}:0)"}, expect=202)
    finished = _finished(session, accepted)
    expected = {
        "flow_id": emptied,
        "delete_flow": False,
        "status": "done",
        "timerange_to_delete": f"[0:0_{MANY}:0)",
    }
    session.expect("the request when it is done", expected, {name: finished.get(name) for name in expected})
    session.expect("no Segment is left", [], items(session, _SEGMENTS, names))
    session.call("GET", "/flows/{flowId}", names, expect=200)
    accepted = session.call("DELETE", "/flows/{flowId}", {"flowId": deleted}, expect=202)
    session.call("GET", "/flows/{flowId}", {"flowId": deleted}, expect=404)
    finished = _finished(session, accepted)
    expected = {"flow_id": deleted, "delete_flow": True, "status": "done"}
    session.expect("the request when it is done", expected, {name: finished.get(name) for name in expected})
    session.expect("no Segment is left", [], items(session, _SEGMENTS, {"flowId": deleted}))
    _listed(session, {emptied, deleted})


def _listed(session: Session, flows: set[str]) -> None:
    found = {request["flow_id"] for request in items(session, _LIST)}
    session.expect("both requests are listed", flows, flows & found)
    if found == flows:
        for sort in ("created", "expiry"):
            check_listing(session, _LIST, query={"sort_by": sort})
    for bad in (*BAD_PAGING, {"sort_by": "size"}, {"reverse_order": "perhaps"}):
        session.call("GET", _LIST, query=bad, expect=400)
    for unknown in (new_id(), "not-an-id"):
        session.call("GET", _ONE, {"request-id": unknown}, expect=404)


def _long_flow(session: Session) -> str:
    """A Flow with more Segments than are deleted at once, all of one object."""
    flow_id: str = put_flow(session)["id"]
    segment = {"object_id": new_id(), "object_timerange": "[0:0_1:0)"}
    urls = [{"label": "elsewhere", "url": "https://example.com/media"}]
    body = [
        {**segment, "timerange": f"[{second}:0_{second + 1}:0)", "ts_offset": f"{second}:0", "get_urls": urls}
        for second in range(MANY)
    ]
    session.call("POST", _SEGMENTS, {"flowId": flow_id}, body=body, expect=201)
    return flow_id


def _finished(session: Session, accepted: Exchange) -> dict[str, Any]:
    """The Flow Delete Request when the service has done it, or as it is after a minute."""
    if accepted.status != 202:
        return {}
    request: dict[str, Any] = accepted.json()
    location = accepted.headers.get("location", "")
    session.expect("Location is the request's", True, location.endswith(f"{_LIST}/{request['id']}"), accepted)
    end = time.monotonic() + _WAIT_SECONDS
    while request.get("status") not in {"done", "error"} and time.monotonic() < end:
        time.sleep(0.2)
        # The worker may change the request between a GET and its HEAD.
        exchange = session.call("GET", _ONE, {"request-id": request["id"]}, expect=200, head=False)
        if exchange.status != 200:
            break
        request = exchange.json()
    session.call("GET", _ONE, {"request-id": request["id"]}, expect=200)
    return request
