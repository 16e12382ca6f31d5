"""The queues of webhooks: one for each, filled as events are shared out, emptied as they are sent.

A queue that has something for a webhook that sends has one job, in one of two lanes, so that one worker at a time sends
to a webhook. Which lane it is stands in the record of the queue; whoever changes that has claimed the webhook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tams.repository.port import Document, Job, Read, Write

FAN_OUT = "fan-out"
"""Kind and key of the job whose holder shares out events. It is there while there are webhooks."""

FORGET = "forget-deliveries"
"""Kind of the job that removes what waits for a webhook that was deleted."""

Lane = Literal["deliver", "deliver-slowly"]

QUICK: Lane = "deliver"
"""Kind of the job that sends to a webhook, whose id is its key."""

SLOW: Lane = "deliver-slowly"
"""The same for a webhook that last failed, or took long: it waits for others of its kind only."""

_KIND = "webhook-queue"


@dataclass(frozen=True, slots=True)
class Queue:
    """`sequence` is that of the last event that was put into it; `lane` is where its job is, None without one."""

    sequence: int = 0
    lane: Lane | None = None


def load_queue(read: Read, webhook_id: str) -> Queue:
    """The webhook's queue, a new one where it has none yet."""
    document = read.document(_KIND, webhook_id)
    return Queue() if document is None else Queue(**document.body)


def save_queue(tx: Write, webhook_id: str, queue: Queue) -> None:
    """Store it."""
    tx.put_document(Document(_KIND, webhook_id, {"sequence": queue.sequence, "lane": queue.lane}))


def waiting(read: Read, webhook_id: str) -> int:
    """How many events wait for the webhook."""
    first = read.deliveries(webhook_id, 1)
    return load_queue(read, webhook_id).sequence - first[0].sequence + 1 if first else 0


def move(tx: Write, webhook_id: str, queue: Queue, lane: Lane | None, due: int, failures: int = 0) -> None:
    """Have the queue's job in that lane, due then (microseconds), or none at all."""
    if queue.lane is not None:
        tx.finish(queue.lane, webhook_id)
    if lane is not None:
        tx.enqueue([Job(lane, webhook_id, {"failures": failures}, due)])
    save_queue(tx, webhook_id, Queue(queue.sequence, lane))


def open_queue(tx: Write, webhook_id: str, now: int) -> None:
    """Have whatever waits sent at once: the webhook was enabled, or changed. One that is being sent to stays so."""
    queue = load_queue(tx, webhook_id)
    if queue.lane != QUICK and tx.deliveries(webhook_id, 1):
        move(tx, webhook_id, queue, QUICK, now)


def stop_queue(tx: Write, webhook_id: str) -> None:
    """Send nothing any more; what waits, waits on."""
    queue = load_queue(tx, webhook_id)
    if queue.lane is not None:
        move(tx, webhook_id, queue, None, 0)


def close_queue(tx: Write, webhook_id: str) -> None:
    """Forget the queue, whose webhook has gone; what waits is removed in the background."""
    stop_queue(tx, webhook_id)
    tx.delete_document(_KIND, webhook_id)
