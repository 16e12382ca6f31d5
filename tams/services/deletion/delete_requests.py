"""Flow Delete Requests: their records, and the batches in which the worker carries them out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from itertools import takewhile
from typing import Literal

from tams.domain.clock import MICROSECONDS, format_time
from tams.domain.deletion import DeleteRequest
from tams.domain.errors import NotFound
from tams.domain.principals import Principal
from tams.domain.segments import Segment
from tams.domain.sort_keys import newest_first
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Document, Job, Page, Read, Write
from tams.services.access.authorization import require
from tams.services.deletion.segment_removal import LastReference, object_keys, remove
from tams.services.outbox import Outbox
from tams.services.store import Store
from tams.services.unit_of_work import claim

logger = logging.getLogger(__name__)

KIND = "delete-request"
"""Kind of the document, and of the job that carries it out."""

FORGET = "forget-delete-request"
"""Kind of the job that removes the record of an ended request."""

Order = Literal["created", "expiry"]


def get(store: Store, request_id: str, principal: Principal) -> DeleteRequest:
    """Return the request.

    Raises:
        NotFound: the request does not exist, or its record was removed.
        Forbidden: the principal may not delete from the Flow, by the classes that it had when the request was made.
    """
    delete_request = store.repository.ask(lambda read: _load(read, request_id))
    if delete_request is None:
        raise NotFound(f"there is no Flow Delete Request {request_id}")
    require(store.access(principal), "delete", delete_request.classes, f"Flow Delete Request {request_id}")
    return delete_request


def list_requests(
    store: Store, *, order: Order, reverse: bool, after: Cursor | None, limit: int
) -> Page[DeleteRequest]:
    """Return a page of requests, most recent first."""
    with store.repository.read() as read:
        page = read.list_documents(KIND, order=order, where={}, reverse=reverse, after=after, limit=limit)
    return Page([_from_document(document) for document in page.items], page.next)


def accept(tx: Write, delete_request: DeleteRequest) -> None:
    """Record the request and queue its work, in the transaction that accepts it."""
    tx.put_document(_to_document(delete_request))
    tx.enqueue([Job(KIND, delete_request.id, {}, due=delete_request.created)])


def advance(store: Store, request_id: str, batch: int) -> bool:
    """Remove the next `batch` Segments; return False once the request has ended.

    Each batch is one transaction, so that a crash at any point loses nothing: the repository, not the process, knows
    which Segments are left.
    """
    try:
        return store.write(lambda tx: _advance(store, tx, request_id, batch))
    except LastReference as error:
        reason = str(error)
    return store.write(lambda tx: _fail(store, tx, request_id, reason))


def forget(store: Store, request_id: str) -> None:
    """Remove the record of a request whose expiry has passed."""

    def transact(tx: Write) -> None:
        claim(tx, [("document", request_id)])
        tx.delete_document(KIND, request_id)
        tx.finish(FORGET, request_id)

    store.write(transact)


def _advance(store: Store, tx: Write, request_id: str, batch: int) -> bool:
    # Find
    delete_request = _load(tx, request_id)
    if delete_request is None or delete_request.ended:
        claim(tx, [("document", request_id)])
        tx.finish(KIND, request_id)
        return False
    candidates = _segments_left(tx, delete_request, batch)
    # Claim
    claimed = claim(tx, {("document", request_id), ("flow", delete_request.flow_id), *object_keys(candidates)})
    # Re-read
    delete_request = _load(tx, request_id)
    if delete_request is None or delete_request.ended:
        tx.finish(KIND, request_id)
        return False
    segments = _segments_left(tx, delete_request, batch + 1)
    # Decide: other workers may have removed some of the Segments. Those that follow them were not claimed.
    ours = list(takewhile(lambda segment: object_keys([segment]) <= claimed.keys, segments[:batch]))
    if segments and not ours:
        return True
    # Write
    now = store.now()
    if ours:
        flow = tx.flow(delete_request.flow_id)
        if flow is not None and flow.flow_key != delete_request.flow_key:
            flow = None
        at = now if flow is None else flow.next_change(now)
        removal = remove(
            tx, delete_request.flow_key, ours, claim=claimed, at=at, now=now, keep_last=delete_request.keep_last
        )
        # A deleted Flow has no event here: its own deletion has reported all its Segments as deleted.
        if flow is not None:
            Outbox(tx).segments_deleted(flow, removal.segments, at)
    if len(segments) > len(ours):
        tx.put_document(_to_document(delete_request.progressed(_remaining(delete_request, ours[-1]), now)))
        return True
    if delete_request.delete_flow:
        tx.end_flow_key(delete_request.flow_key)
    _end(store, tx, delete_request.done(now, _expiry(store, now)))
    logger.info("delete request %s of Flow %s is done", delete_request.id, delete_request.flow_id)
    return False


def _segments_left(read: Read, delete_request: DeleteRequest, limit: int) -> list[Segment]:
    return read.segments_within(
        delete_request.flow_key,
        delete_request.timerange,
        limit,
        object_id=delete_request.object_id,
        init_object_id=delete_request.init_object_id,
        registered_before=delete_request.before,
    )


def _remaining(delete_request: DeleteRequest, last_removed: Segment) -> TimeRange:
    """Return the part of the request's timerange that lies after the last Segment removed."""
    remaining = delete_request.remaining
    if remaining.end is None or last_removed.end >= remaining.end:
        return remaining
    return TimeRange(last_removed.end, remaining.end, remaining.closed)


def _fail(store: Store, tx: Write, request_id: str, reason: str) -> bool:
    claim(tx, [("document", request_id)])
    delete_request = _load(tx, request_id)
    if delete_request is not None and not delete_request.ended:
        now = store.now()
        error = {"type": "Conflict", "summary": reason, "time": format_time(now)}
        _end(store, tx, delete_request.failed(error, now, _expiry(store, now)))
        logger.warning("delete request %s of Flow %s stopped: %s", request_id, delete_request.flow_id, reason)
    return False


def _end(store: Store, tx: Write, delete_request: DeleteRequest) -> None:
    tx.put_document(_to_document(delete_request))
    tx.finish(KIND, delete_request.id)
    tx.enqueue([Job(FORGET, delete_request.id, {}, due=delete_request.expiry or store.now())])


def _expiry(store: Store, now: int) -> int:
    return now + store.settings.delete_request_retention * MICROSECONDS


def _load(read: Read, request_id: str) -> DeleteRequest | None:
    document = read.document(KIND, request_id)
    return None if document is None else _from_document(document)


def _to_document(delete_request: DeleteRequest) -> Document:
    keys = {
        "created": newest_first(delete_request.created, delete_request.id),
        "expiry": newest_first(delete_request.expiry, delete_request.id),
    }
    return Document(KIND, delete_request.id, asdict(delete_request), keys)


def _from_document(document: Document) -> DeleteRequest:
    ranges = {name: TimeRange(**document.body[name]) for name in ("timerange", "remaining")}
    classes = tuple(document.body.get("classes", ()))
    return DeleteRequest(**(document.body | ranges | {"classes": classes}))
