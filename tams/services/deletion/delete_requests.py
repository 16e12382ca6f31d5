"""Flow Delete Requests: their records, and the batches in which the worker carries them out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Literal

from tams.domain.clock import MICROSECONDS, format_time
from tams.domain.deletion import DeleteRequest
from tams.domain.errors import NotFound
from tams.domain.principals import Principal
from tams.domain.sort_keys import newest_first
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Document, Job, Page, Read, Write
from tams.services.access.authorization import require
from tams.services.deletion.segment_removal import LastReference, remove_batch
from tams.services.store import Store

logger = logging.getLogger(__name__)

KIND = "delete-request"
"""Kind of the document, and of the job that carries it out."""

FORGET = "forget-delete-request"
"""Kind of the job that removes the record of an ended request."""

Order = Literal["created", "expiry"]


def get(store: Store, request_id: str, principal: Principal) -> DeleteRequest:
    """The request. `NotFound` where there is none, or no more; `Forbidden` unless its Flow, as that was, may be deleted
    by the principal."""
    request = store.repository.ask(lambda read: _load(read, request_id))
    if request is None:
        raise NotFound(f"there is no Flow Delete Request {request_id}")
    require(store.access(principal), "delete", request.classes, f"Flow Delete Request {request_id}")
    return request


def list_requests(
    store: Store, *, order: Order, reverse: bool, after: Cursor | None, limit: int
) -> Page[DeleteRequest]:
    """A page of requests, most recent first."""
    with store.repository.read() as read:
        page = read.list_documents(KIND, order=order, where={}, reverse=reverse, after=after, limit=limit)
    return Page([_from_document(document) for document in page.items], page.next)


def accept(tx: Write, request: DeleteRequest) -> None:
    """Record the request and queue its work, in the transaction that accepts it."""
    tx.put_document(_to_document(request))
    tx.enqueue([Job(KIND, request.id, {}, due=request.created)])


def advance(store: Store, request_id: str, batch: int) -> bool:
    """Remove the next `batch` Segments; False once the request has ended.

    Each batch is one transaction, so that a kill at any point loses nothing: what is left is asked of the repository
    anew, not remembered.
    """
    try:
        return store.write(lambda tx: _advance(store, tx, request_id, batch))
    except LastReference as refusal:
        reason = str(refusal)
    return store.write(lambda tx: _refuse(store, tx, request_id, reason))


def forget(store: Store, request_id: str) -> None:
    """Remove the record of a request that ended long enough ago."""

    def transact(tx: Write) -> None:
        tx.claim(("document", request_id))
        tx.delete_document(KIND, request_id)
        tx.finish(FORGET, request_id)

    store.write(transact)


def _advance(store: Store, tx: Write, request_id: str, batch: int) -> bool:
    request = _load(tx, request_id)
    if request is None or request.ended:
        tx.claim(("document", request_id))
        tx.finish(KIND, request_id)
        return False
    now = store.now()
    removed = remove_batch(
        tx,
        request.flow_id,
        request.flow_key,
        request.timerange,
        batch,
        now,
        object_id=request.object_id,
        init_object_id=request.init_object_id,
        registered_before=request.before,
        keep_last=request.keep_last,
        also_claim=[("document", request_id)],
    )
    if removed.more and not removed.segments:
        return True  # another worker has gone on with it meanwhile
    if removed.more:
        end = request.remaining.end
        last = removed.segments[-1].end
        left = TimeRange(last, end, request.remaining.closed) if end is not None and last < end else request.remaining
        tx.put_document(_to_document(request.progressed(left, now)))
        return True
    if request.delete_flow:
        tx.end_flow_key(request.flow_key)
    _end(store, tx, request.done(now, _expiry(store, now)))
    logger.info("delete request %s of Flow %s is done", request.id, request.flow_id)
    return False


def _refuse(store: Store, tx: Write, request_id: str, reason: str) -> bool:
    tx.claim(("document", request_id))
    request = _load(tx, request_id)
    if request is not None and not request.ended:
        now = store.now()
        error = {"type": "Conflict", "summary": reason, "time": format_time(now)}
        _end(store, tx, request.failed(error, now, _expiry(store, now)))
        logger.warning("delete request %s of Flow %s stopped: %s", request.id, request.flow_id, reason)
    return False


def _end(store: Store, tx: Write, request: DeleteRequest) -> None:
    tx.put_document(_to_document(request))
    tx.finish(KIND, request.id)
    tx.enqueue([Job(FORGET, request.id, {}, due=request.expiry or store.now())])


def _expiry(store: Store, now: int) -> int:
    return now + store.settings.delete_request_retention * MICROSECONDS


def _load(read: Read, request_id: str) -> DeleteRequest | None:
    document = read.document(KIND, request_id)
    return None if document is None else _from_document(document)


def _to_document(request: DeleteRequest) -> Document:
    keys = {
        "created": newest_first(request.created, request.id),
        "expiry": newest_first(request.expiry, request.id),
    }
    return Document(KIND, request.id, asdict(request), keys)


def _from_document(document: Document) -> DeleteRequest:
    ranges = {name: TimeRange(**document.body[name]) for name in ("timerange", "remaining")}
    classes = tuple(document.body.get("classes", ()))
    return DeleteRequest(**(document.body | ranges | {"classes": classes}))
