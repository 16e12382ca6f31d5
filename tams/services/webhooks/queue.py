"""The queues of webhooks: one per webhook, filled by the fan-out of events, emptied by deliveries.

If a webhook sends and its queue holds events, the queue has one job, in one of two lanes, so that one worker at a time
sends to the webhook. The record of the queue names the lane. A transaction that changes it has claimed the webhook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tams.repository.port import Document, Job, Read, Write
from tams.services.webhooks.attempts import forget_attempt

FAN_OUT = "fan-out"
"""Kind and id of the job whose holder fans out events. It exists while there are webhooks."""

FORGET = "forget-deliveries"
"""Kind of the job that removes the waiting events of a deleted webhook."""

Lane = Literal["deliver", "deliver-slowly"]

QUICK: Lane = "deliver"
"""Kind of the job that sends to a webhook; the webhook's id is the job's id."""

SLOW: Lane = "deliver-slowly"
"""Kind of the job that sends to a webhook that last failed or was slow: it waits only for other jobs of this kind."""

_KIND = "webhook-queue"


@dataclass(frozen=True, slots=True)
class Queue:
    """The record of a queue: the sequence number of its last event, and the lane of its job (None without a job)."""

    sequence: int = 0
    lane: Lane | None = None


def load_queue(read: Read, webhook_id: str) -> Queue:
    """Return the webhook's queue, a new one if it has none yet."""
    document = read.document(_KIND, webhook_id)
    return Queue() if document is None else Queue(**document.body)


def save_queue(tx: Write, webhook_id: str, queue: Queue) -> None:
    """Store the record of the queue."""
    tx.put_document(Document(_KIND, webhook_id, {"sequence": queue.sequence, "lane": queue.lane}))


def waiting(read: Read, webhook_id: str) -> int:
    """Return how many events wait for the webhook."""
    first = read.deliveries(webhook_id, 1)
    return load_queue(read, webhook_id).sequence - first[0].sequence + 1 if first else 0


def move(tx: Write, webhook_id: str, queue: Queue, lane: Lane | None, due: int, failures: int = 0) -> None:
    """Move the queue's job to a lane, due at `due` (microseconds), or end it if `lane` is None."""
    if queue.lane is not None:
        tx.finish(queue.lane, webhook_id)
    if lane is not None:
        tx.enqueue([Job(lane, webhook_id, {"failures": failures}, due)])
    save_queue(tx, webhook_id, Queue(queue.sequence, lane))


def open_queue(tx: Write, webhook_id: str, now: int) -> None:
    """Have the waiting events of an enabled or changed webhook sent at once, unless they are being sent already."""
    queue = load_queue(tx, webhook_id)
    if queue.lane != QUICK and tx.deliveries(webhook_id, 1):
        forget_attempt(tx, webhook_id)
        move(tx, webhook_id, queue, QUICK, now)


def stop_queue(tx: Write, webhook_id: str) -> None:
    """Stop sending; the events go on waiting."""
    queue = load_queue(tx, webhook_id)
    if queue.lane is not None:
        move(tx, webhook_id, queue, None, 0)


def close_queue(tx: Write, webhook_id: str) -> None:
    """Delete the queue of a deleted webhook; its waiting events are removed in the background."""
    stop_queue(tx, webhook_id)
    forget_attempt(tx, webhook_id)
    tx.delete_document(_KIND, webhook_id)
