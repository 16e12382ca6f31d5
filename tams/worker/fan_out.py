"""Fan-out of events: from the outbox into the queue of each webhook that selects them.

One worker at a time does it, the holder of a lease, so that the others need not try. The transaction keeps the order,
and makes sure that each event is queued exactly once: it takes events from the outbox and adds them to the queues, both
or neither.
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
from tams.services.store import Store
from tams.services.unit_of_work import Retry
from tams.services.webhooks import webhooks
from tams.services.webhooks.queue import FAN_OUT, QUICK, Queue, load_queue, move, save_queue, stop_queue
from tams.services.webhooks.visibility import VisibleEvents

logger = logging.getLogger(__name__)

# Seconds between two reads of the outbox, to be multiplied by `Repository.patience`: while it is idle, and for
# `_BUSY_PERIOD` seconds after it held an event.
_IDLE: Final = 0.25
_BUSY: Final = 0.05
_BUSY_PERIOD: Final = 2.0
_LONGEST_LEASE: Final = 10
# The limits of one transaction, which other writers wait for.
_MOST_EVENTS: Final = 100
_MOST_DELIVERIES: Final = 2000


class FanOut:
    """Fans out events while it holds the lease. Calls `ready` when there is something to send."""

    def __init__(self, store: Store, worker: str, stop: threading.Event, ready: Callable[[], None]) -> None:
        self._store = store
        self._worker = worker
        self._stop = stop
        self._ready = ready
        self._lease = min(_LONGEST_LEASE, store.settings.job_lease)

    def step(self) -> bool:
        """Try to get the lease and work for half of it.

        Return False if another worker has the lease, or if there is no webhook.
        """
        for job in self._store.repository.lease(FAN_OUT, self._worker, 1, self._lease):
            return self._work(job)
        return False

    def _work(self, job: Job) -> bool:
        deadline = time.monotonic() + self._lease / 2
        busy_until = 0.0
        patience = self._store.repository.patience
        while not self._stop.is_set() and time.monotonic() < deadline:
            with self._store.repository.read() as read:
                empty = read.count_up_to("events in outbox", "", 1) == 0
                no_webhooks = empty and read.count_up_to("documents of kind", WEBHOOK, 1) == 0
            if not empty:
                busy_until = time.monotonic() + _BUSY_PERIOD
                if fan_out(self._store):
                    self._ready()
                # If a read is costly, events that come meanwhile are fanned out together.
                self._stop.wait(_BUSY * (patience - 1))
            elif no_webhooks and self._end_without_webhooks():
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
    """Fan out the first events of the outbox; return True if any webhook selected one."""

    def transact(tx: Write) -> bool:
        claimed_ids = [webhook.id for webhook in webhooks.load_all(tx)]
        tx.claim(webhooks.ALL, *(("document", webhook_id) for webhook_id in claimed_ids))
        all_webhooks = webhooks.load_all(tx)
        if [webhook.id for webhook in all_webhooks] != claimed_ids:
            raise Retry
        events = tx.take_events(max(1, min(_MOST_EVENTS, _MOST_DELIVERIES // max(1, len(all_webhooks)))))
        any_selected = False
        visible = VisibleEvents(store, tx, events)
        for webhook in all_webhooks:
            if not webhook.collects:
                continue
            selected = [event for event in visible.visible_to(webhook) if webhook.selects(event)]
            if selected:
                any_selected = True
                _enqueue(store, tx, webhook, selected)
        return any_selected

    return store.write(transact)


def _enqueue(store: Store, tx: Write, webhook: Webhook, events: Sequence[Event]) -> None:
    """Add events to a webhook's queue, and have them sent."""
    queue = load_queue(tx, webhook.id)
    numbered = enumerate(events, start=queue.sequence + 1)
    tx.add_deliveries([Delivery(webhook.id, sequence, event) for sequence, event in numbered])
    extended = Queue(queue.sequence + len(events), queue.lane)
    if webhook.sends and queue.lane is None:
        move(tx, webhook.id, extended, QUICK, store.now())
    else:
        save_queue(tx, webhook.id, extended)
    most = store.settings.webhook_backlog
    # The length is checked only once per tenth of the limit, because the check reads the queue again.
    check_interval = max(1, most // 10)
    if queue.sequence // check_interval != extended.sequence // check_interval:
        _drop_surplus(store, tx, webhook, last=extended.sequence, most=most)


def _drop_surplus(store: Store, tx: Write, webhook: Webhook, *, last: int, most: int) -> None:
    """Keep only the latest `most` events, the last of which has the sequence number `last`.

    A receiver notices missing events by the gap in the sequence numbers.
    """
    first = tx.deliveries(webhook.id, 1)[0].sequence
    surplus = last - first + 1 - most
    if surplus <= 0:
        return
    tx.drop_deliveries(webhook.id, surplus)
    logger.error("webhook %s: dropped the %s oldest events, because more than %s wait", webhook.id, surplus, most)
    if webhook.sends:
        stop_queue(tx, webhook.id)
        reason = (
            f"more than {most} events wait, because the receiver is slower than they arrive; the oldest were dropped"
        )
        webhooks.save(tx, webhook.failed("BacklogExceeded", reason, store.now()))
