"""Sharing out events: from the outbox into the queue of each webhook that wants them.

One worker at a time does it, the holder of a lease, so that the others need not try. What keeps the order, and keeps
an event from being shared out twice or not at all, is the transaction: taken from the outbox and put into the queues,
both or neither.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from tams.domain.events import Delivery, Event
from tams.domain.webhooks import Webhook
from tams.repository.port import Job, Write
from tams.services.outbox import WEBHOOK
from tams.services.store import Retry, Store
from tams.services.webhooks import webhooks
from tams.services.webhooks.queue import FAN_OUT, QUICK, Queue, load_queue, move, save_queue, stop_queue
from tams.services.webhooks.visibility import SeenEvents

logger = logging.getLogger(__name__)

# Seconds between two looks into an outbox that is empty, and into one that was not a moment ago; `Repository.patience`
# times as long.
_IDLE: Final = 0.25
_BUSY: Final = 0.05
_MOMENT: Final = 2.0
_LONGEST_LEASE: Final = 10
_MOST_EVENTS: Final = 100
# Of one transaction: other writers wait for it.
_MOST_DELIVERIES: Final = 2000


class FanOut:
    """Shares out events while it holds the lease. `ready` is called when there is something to send."""

    def __init__(self, store: Store, worker: str, stop: threading.Event, ready: Callable[[], None]) -> None:
        self._store = store
        self._worker = worker
        self._stop = stop
        self._ready = ready
        self._lease = min(_LONGEST_LEASE, store.settings.job_lease)

    def step(self) -> bool:
        """Try to get the lease, and work for half of it; False where another worker has it, or there is no webhook."""
        for job in self._store.repository.lease(FAN_OUT, self._worker, 1, self._lease):
            return self._work(job)
        return False

    def _work(self, job: Job) -> bool:
        until = time.monotonic() + self._lease / 2
        busy_until = 0.0
        patience = self._store.repository.patience
        while not self._stop.is_set() and time.monotonic() < until:
            with self._store.repository.read() as read:
                empty = read.count_up_to("events in outbox", "", 1) == 0
                unwanted = empty and read.count_up_to("documents of kind", WEBHOOK, 1) == 0
            if not empty:
                busy_until = time.monotonic() + _MOMENT
                if fan_out(self._store):
                    self._ready()
                # Where a look costs much, what comes meanwhile is shared out together.
                self._stop.wait(_BUSY * (patience - 1))
            elif unwanted and self._end_without_webhooks():
                return False
            else:
                self._stop.wait(patience * (_BUSY if time.monotonic() < busy_until else _IDLE))
        self._store.repository.postpone(job, self._store.now())
        return True

    def _end_without_webhooks(self) -> bool:
        def transact(tx: Write) -> bool:
            tx.claim(webhooks.ALL)
            if tx.count_up_to("documents of kind", WEBHOOK, 1):
                return False
            tx.finish(FAN_OUT, FAN_OUT)
            return True

        return self._store.write(transact)


def fan_out(store: Store) -> bool:
    """Share out the first events of the outbox; True where there was something for somebody."""

    def transact(tx: Write) -> bool:
        known = [webhook.id for webhook in webhooks.load_all(tx)]
        tx.claim(webhooks.ALL, *(("document", webhook_id) for webhook_id in known))
        every = webhooks.load_all(tx)
        if [webhook.id for webhook in every] != known:
            raise Retry
        events = tx.take_events(max(1, min(_MOST_EVENTS, _MOST_DELIVERIES // max(1, len(every)))))
        given = False
        seen = SeenEvents(store, tx, events)
        for webhook in every:
            wanted = [event for event in seen.visible_to(webhook) if webhook.wants(event)] if webhook.collects else []
            if wanted:
                given = True
                _put(store, tx, webhook, wanted)
        return given

    return store.write(transact)


def _put(store: Store, tx: Write, webhook: Webhook, events: Sequence[Event]) -> None:
    """Put events into a webhook's queue, and have them sent."""
    queue = load_queue(tx, webhook.id)
    numbered = enumerate(events, start=queue.sequence + 1)
    tx.add_deliveries([Delivery(webhook.id, sequence, event) for sequence, event in numbered])
    longer = Queue(queue.sequence + len(events), queue.lane)
    if webhook.sends and queue.lane is None:
        move(tx, webhook.id, longer, QUICK, store.now())
    else:
        save_queue(tx, webhook.id, longer)
    most = store.settings.webhook_backlog
    # Looked at now and then only: it takes another look into the queue.
    every = max(1, most // 10)
    if queue.sequence // every != longer.sequence // every:
        _bound(store, tx, webhook, longer.sequence, most)


def _bound(store: Store, tx: Write, webhook: Webhook, last: int, most: int) -> None:
    """Keep only the latest `most` events. A receiver that sees numbers left out knows that it missed some."""
    first = tx.deliveries(webhook.id, 1)[0].sequence
    surplus = last - first + 1 - most
    if surplus <= 0:
        return
    tx.drop_deliveries(webhook.id, surplus)
    logger.error("webhook %s: the %s oldest events were dropped, as more than %s wait", webhook.id, surplus, most)
    if webhook.sends:
        stop_queue(tx, webhook.id)
        reason = f"more than {most} events wait: the receiver is slower than they come; the oldest were dropped"
        webhooks.save(tx, webhook.failed("BacklogExceeded", reason, store.now()))
