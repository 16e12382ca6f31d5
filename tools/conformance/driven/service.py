"""The service itself: root, /service, and storage backends."""

from __future__ import annotations

from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session


def service(session: Session) -> None:
    """Read the root and the service information, and update it."""
    root = session.call("GET", "/", expect=200)
    paths = {"service", "flows", "sources", "flow-delete-requests"}
    session.expect("the root lists the paths", paths, paths & {str(name).strip("/") for name in root.json()}, root)
    before = session.call("GET", "/service", expect=200)
    session.expect("api_version is the document's", session.document.version, before.json()["api_version"], before)
    timeout, url_timeout = (_seconds(before.json().get(name, "")) for name in ("min_object_timeout", _URL_TIMEOUT))
    session.expect("30 s <= min_presigned_url_timeout", True, url_timeout >= 30, before)
    session.expect("min_object_timeout >= 300 s", True, timeout >= 300, before)
    session.expect("min_presigned_url_timeout <= min_object_timeout", True, url_timeout <= timeout, before)
    update = {"name": "Conformance", "description": "Driven by the conformance session"}
    session.call("POST", "/service", body=update, expect=200)
    after = session.call("GET", "/service", expect=200)
    session.expect("the update is shown", update, {name: after.json().get(name) for name in update}, after)
    original = {name: value for name, value in before.json().items() if name in update}
    session.call("POST", "/service", body={**dict.fromkeys(update, ""), **original}, expect=200)
    session.call("POST", "/service", body={"name": 5}, expect=400)
    session.call("POST", "/service", body=["name"], expect=400)
    session.call("POST", "/service", content=b"{", headers={"Content-Type": "application/json"}, expect=400)
    session.call("POST", "/service", content=b"name", headers={"Content-Type": "text/plain"}, expect=415)
    etag = after.headers.get("etag")
    if etag is not None:
        current = session.call("GET", "/service", expect=200)
        match = {"If-None-Match": current.headers["etag"]}
        session.call("GET", "/service", headers=match, expect=304)


_URL_TIMEOUT = "min_presigned_url_timeout"


def _seconds(timestamp: str) -> int:
    return int(timestamp.partition(":")[0] or 0)


def storage_backends(session: Session) -> None:
    """List the storage backends with their filters and paging."""
    check_listing(session, "/service/storage-backends")
    backends = items(session, "/service/storage-backends")
    session.expect("there is a backend", True, bool(backends))
    unset = {"tag_exists.never-set-by-anyone": "true"}
    session.expect("no backend has that tag", [], items(session, "/service/storage-backends", query=unset))
    session.expect(
        "every backend lacks that tag",
        backends,
        items(session, "/service/storage-backends", query={"tag_exists.never-set-by-anyone": "False"}),
    )
    session.expect(
        "no backend has that value",
        [],
        items(session, "/service/storage-backends", query={"tag.kind": "a,b"}),
    )
    for invalid_query in ({"tag_exists.kind": "perhaps"}, {"reverse_order": "perhaps"}):
        session.call("GET", "/service/storage-backends", query=invalid_query, expect=400)
