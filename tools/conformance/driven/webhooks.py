"""Webhooks: register, filter by tag, change their state and delete them, and send invalid ones."""

from __future__ import annotations

from typing import Any

from tools.conformance.driven.documents import new_id
from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session

LIST = "/service/webhooks"
ONE = "/service/webhooks/{webhookId}"

_URL = "https://receiver.invalid/hook"
"""A host name that never resolves, so that nothing is ever sent."""

_FULL: dict[str, Any] = {
    "url": _URL,
    "api_key_name": "Authorization",
    "events": ["flows/created", "flows/segments_added", "sources/deleted"],
    "flow_ids": [new_id()],
    "source_ids": [new_id()],
    "flow_collected_by_ids": [],
    "source_collected_by_ids": [new_id()],
    "accept_get_urls": ["label"],
    "accept_storage_ids": [new_id()],
    "presigned": True,
    "verbose_storage": True,
    "include_object_timerange": False,
}
_INVALID: tuple[dict[str, Any], ...] = (
    {"url": _URL},
    {"events": []},
    {"url": _URL, "events": ["flows/renamed"]},
    {"url": _URL, "events": [], "flow_ids": ["not-an-id"]},
    {"url": _URL, "events": [], "presigned": "yes"},
    {"url": _URL, "events": [], "status": "started"},
    {"url": _URL, "events": [], "tags": {"a": 1}},
    {"url": _URL, "events": [], "api_key_name": "X", "api_key_value": "a\r\nb"},
    {"url": "http://127.0.0.1/", "events": []},
    {"url": "http://169.254.169.254/", "events": []},
    {"url": "http://[::1]/", "events": []},
    {"url": "ftp://example.com/", "events": []},
)


def webhooks(session: Session) -> None:
    """Check that the service announces webhooks, and use them."""
    service = session.call("GET", "/service", expect=200)
    mechanisms = [mechanism["name"] for mechanism in service.json().get("event_stream_mechanisms", [])]
    session.expect("webhooks are announced", True, "webhooks" in mechanisms, service)
    tag = new_id()
    responses = [
        session.call("POST", LIST, body={**_FULL, "url": f"{_URL}/{place}", "tags": {tag: [place, "all"]}}, expect=201)
        for place in ("b", "a", "c")
    ]
    ids = [response.json()["id"] for response in responses]
    check_listing(session, LIST, query={f"tag.{tag}": "all"})
    for query, expected in (
        ({f"tag_exists.{tag}": "true"}, [ids[1], ids[0], ids[2]]),
        ({f"tag.{tag}": "a,c"}, [ids[1], ids[2]]),
        ({f"tag.{tag}": "d"}, []),
    ):
        listed_ids = [webhook["id"] for webhook in items(session, LIST, query=query)]
        session.expect(f"webhooks by {next(iter(query))}, sorted by url", expected, listed_ids)
    for invalid_query in ({"reverse_order": "perhaps"}, {f"tag_exists.{tag}": "perhaps"}):
        session.call("GET", LIST, query=invalid_query, expect=400)
    _changed(session, ids[0])
    for invalid_body in _INVALID:
        session.call("POST", LIST, body=invalid_body, expect=400)
    for webhook_id in ids:
        names = {"webhookId": webhook_id}
        session.call("DELETE", ONE, names, expect=204)
        for method in ("GET", "HEAD", "DELETE"):
            session.call(method, ONE, names, expect=404)
    session.expect("deleted webhooks are not listed", [], items(session, LIST, query={f"tag.{tag}": "all"}))
    session.call("GET", ONE, {"webhookId": "not-an-id"}, expect=404)
    unknown: dict[str, Any] = {"id": new_id(), "url": _URL, "events": [], "status": "created"}
    session.call("PUT", ONE, {"webhookId": unknown["id"]}, body=unknown, expect=404)


def _changed(session: Session, webhook_id: str) -> None:
    names = {"webhookId": webhook_id}
    for status in ("disabled", "created"):
        body = {**_FULL, "id": webhook_id, "status": status, "api_key_value": "a secret"}
        response = session.call("PUT", ONE, names, body=body, expect=201)
        read = session.call("GET", ONE, names, expect=200)
        session.expect("GET returns what PUT returned", response.json(), read.json(), read)
        expected = {name: value for name, value in body.items() if name != "api_key_value"}
        session.expect("everything is replaced, and the key is not returned", expected, read.json(), read)
    session.call("HEAD", ONE, names, expect=200)
    body = {"id": webhook_id, "url": _URL, "events": [], "status": "created"}
    for change in ({"id": new_id()}, {"status": "started"}, {"status": "error"}, {"url": "http://127.0.0.1/"}):
        session.call("PUT", ONE, names, body={**body, **change}, expect=400)
    for missing in body:
        partial = {name: value for name, value in body.items() if name != missing}
        session.call("PUT", ONE, names, body=partial, expect=400)
