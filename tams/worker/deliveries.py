"""Sending events to webhooks: in order for each webhook, and to many at once, so that none waits for another.

A worker leases a webhook's job, sends for a while, and gives the job back. A killed worker loses nothing: events that
were not acknowledged are sent again when its lease ends, under the same id. Receivers that fail or are slow have
separate threads.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final

from tams.domain.clock import MICROSECONDS
from tams.domain.errors import TamsError
from tams.domain.events import Delivery
from tams.domain.webhooks import Webhook
from tams.repository.port import Job, Write
from tams.services.egress import Connection
from tams.services.rendering.events import event_json
from tams.services.store import Store
from tams.services.webhooks import webhooks
from tams.services.webhooks.attempts import FailedAttempt, forget_attempt, save_attempt
from tams.services.webhooks.queue import FORGET, QUICK, SLOW, Lane, load_queue, move
from tams.worker.posting import Poster, PostFailed

logger = logging.getLogger(__name__)

# Seconds between two looks for due jobs, unless there is news of one.
_POLL_INTERVAL: Final = 1.0
# Events per read: a worker holds so many in memory for a webhook, and may send so many again after it was killed.
_BATCH: Final = 32
# Seconds of sending until the webhook is read again, which may have been disabled, deleted or changed.
_REREAD_AFTER: Final = 1.0
# Seconds; a receiver that takes longer moves to the slow lane.
_SLOW_AFTER: Final = 1.0
_LONGEST_RETRY_AFTER: Final = 3600
_AFTER_ERROR: Final = 5 * MICROSECONDS
_FORGET_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an event was not delivered. `retry_after` is the wait that the receiver asked for, in seconds."""

    reason: str
    retry_after: float = 0.0


@dataclass(slots=True)
class _BatchResult:
    """The result of sending a batch: the sequence number of the last delivered event, and the failure that ended it."""

    delivered_through: int | None = None
    failure: _Failure | None = None
    slow: bool = False


class Deliverer:
    """The part of a worker that sends events. Thread-safe."""

    def __init__(self, store: Store, worker: str, stop: threading.Event) -> None:
        settings = store.settings
        self._store = store
        self._worker = worker
        self._stop = stop
        self._poster = Poster(settings, store.now)
        # No request is begun that might not end within the lease.
        self._lease = max(settings.job_lease, 2 * settings.webhook_timeout + 2)
        self._turn = min(self._lease / 2, self._lease - settings.webhook_timeout - 1)
        self._wake = threading.Event()
        threads = settings.webhook_threads
        self._free = {QUICK: threads, SLOW: threads}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2 * threads, thread_name_prefix="deliver")

    def wake(self) -> None:
        """Look for due jobs at once."""
        self._wake.set()

    def step(self) -> bool:
        """Hand due jobs to threads, then wait until there may be more; always return True."""
        self._wake.clear()
        for lane in (QUICK, SLOW):
            free = self._free[lane]
            for job in self._store.repository.lease(lane, self._worker, free, self._lease) if free else ():
                with self._lock:
                    self._free[lane] -= 1
                self._pool.submit(self._take_turn, job, lane)
        self._wake.wait(_POLL_INTERVAL)
        return True

    def close(self) -> None:
        """Wait for the threads; each ends after the event that it is sending."""
        self._pool.shutdown()

    def _take_turn(self, job: Job, lane: Lane) -> None:
        try:
            if self._deliver(job, lane):
                self._store.repository.postpone(job, self._store.now(), {"failures": 0})
        except TamsError as error:
            logger.warning("deliveries to webhook %s are postponed: %s", job.job_id, error)
            with suppress(TamsError):
                self._store.repository.postpone(job, self._store.now() + _AFTER_ERROR)
        except Exception:
            # The worker has to survive every error. The job comes back when its lease ends.
            logger.exception("sending to webhook %s failed", job.job_id)
        finally:
            with self._lock:
                self._free[lane] += 1
            self._wake.set()

    def _deliver(self, job: Job, lane: Lane) -> bool:
        """Send the waiting events of a webhook, batch by batch; return True if the turn ended before all were sent."""
        deadline = time.monotonic() + self._turn
        failures: int = job.payload["failures"]
        connection: Connection | None = None
        try:
            url = ""
            while not self._stop.is_set() and time.monotonic() < deadline:
                webhook, waiting = self._read(job.job_id)
                if webhook is not None and webhook.status == "created" and waiting:
                    webhook = self._mark_started(job.job_id)
                if webhook is None or not webhook.sends:
                    self._end_job(job.job_id, lane)
                    return False
                if connection is None or url != webhook.url:
                    if connection is not None:
                        connection.close()
                    url, connection = webhook.url, self._poster.connection(webhook)
                result = self._send_all(connection, webhook, waiting, deadline)
                if result.delivered_through is not None:
                    failures = 0
                failures += result.failure is not None
                if not self._record(job.job_id, lane, result, failures):
                    return False
        finally:
            if connection is not None:
                connection.close()
        return True

    def _read(self, webhook_id: str) -> tuple[Webhook | None, list[Delivery]]:
        with self._store.repository.read() as read:
            return webhooks.load(read, webhook_id), read.deliveries(webhook_id, _BATCH)

    def _mark_started(self, webhook_id: str) -> Webhook | None:
        """Record that sending begins, unless the webhook was disabled or deleted meanwhile; return what is stored."""

        def transact(tx: Write) -> Webhook | None:
            tx.claim(("document", webhook_id))
            webhook = webhooks.load(tx, webhook_id)
            if webhook is not None and webhook.status == "created":
                webhook = replace(webhook, status="started")
                webhooks.save(tx, webhook)
            return webhook

        return self._store.write(transact)

    def _end_job(self, webhook_id: str, lane: Lane) -> None:
        """End the job of a webhook that was deleted, or that is not to be sent to."""

        def transact(tx: Write) -> None:
            tx.claim(("document", webhook_id))
            webhook = webhooks.load(tx, webhook_id)
            if webhook is None:
                tx.finish(lane, webhook_id)
            elif not webhook.sends:
                move(tx, webhook_id, load_queue(tx, webhook_id), None, 0)

        self._store.write(transact)

    def _send_all(
        self, connection: Connection, webhook: Webhook, waiting: Sequence[Delivery], deadline: float
    ) -> _BatchResult:
        result = _BatchResult()
        deadline = min(deadline, time.monotonic() + _REREAD_AFTER)
        for delivery in waiting:
            start = time.monotonic()
            if self._stop.is_set() or start >= deadline:
                break
            failure = self._send(connection, webhook, delivery)
            result.slow = result.slow or time.monotonic() - start > _SLOW_AFTER
            event = delivery.event
            if failure is not None:
                result.failure = failure
                logger.warning("webhook %s: event %s (%s) failed: %s", webhook.id, event.id, event.type, failure.reason)
                break
            logger.debug("webhook %s: event %s (%s) was delivered", webhook.id, event.id, event.type)
            result.delivered_through = delivery.sequence
        return result

    def _send(self, connection: Connection, webhook: Webhook, delivery: Delivery) -> _Failure | None:
        body = event_json(self._store, delivery.event, webhook)
        try:
            answer = self._poster.post(connection, webhook, delivery.event.id, delivery.sequence, body)
        except PostFailed as error:
            return _Failure(str(error))
        if answer.refusal is None:
            return None
        return _Failure(answer.refusal, self._retry_after(answer.retry_after))

    def _retry_after(self, value: str | None) -> float:
        """Return the seconds that a `Retry-After` names, as a number or a date; 0 for anything else."""
        if value is None:
            return 0.0
        if value.strip().isdecimal():
            return min(float(value), _LONGEST_RETRY_AFTER)
        try:
            seconds = parsedate_to_datetime(value).timestamp() - self._store.now() / MICROSECONDS
        except (ValueError, OverflowError):
            return 0.0
        return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)

    def _record(self, webhook_id: str, lane: Lane, result: _BatchResult, failures: int) -> bool:
        """Record the result of a batch; return True if the turn goes on."""
        retries = self._store.settings.webhook_retries
        # Drawn outside the transaction, which may run twice.
        jitter = random.uniform(0.75, 1.25)  # noqa: S311 - no secret

        def transact(tx: Write) -> bool:
            tx.claim(("document", webhook_id))
            webhook = webhooks.load(tx, webhook_id)
            if result.delivered_through is not None:
                tx.ack(webhook_id, result.delivered_through)
            queue = load_queue(tx, webhook_id)
            # If a client stopped, deleted or restarted the webhook meanwhile, this job no longer belongs to the queue.
            if webhook is None or queue.lane != lane:
                return False
            now = self._store.now()
            if lane == SLOW and result.delivered_through is not None:
                forget_attempt(tx, webhook_id)
            if result.failure is None:
                next_lane: Lane | None = SLOW if result.slow else QUICK
                if not tx.deliveries(webhook_id, 1):
                    next_lane = None
                if next_lane != lane:
                    move(tx, webhook_id, queue, next_lane, now)
                return next_lane == lane
            if failures > len(retries):
                webhooks.save(tx, webhook.failed("DeliveryFailed", result.failure.reason, now))
                move(tx, webhook_id, queue, None, 0)
                forget_attempt(tx, webhook_id)
                logger.error("webhook %s is in error: %s", webhook_id, result.failure.reason)
                return False
            wait = max(retries[failures - 1] * jitter, result.failure.retry_after)
            due = now + int(wait * MICROSECONDS)
            move(tx, webhook_id, queue, SLOW, due, failures)
            save_attempt(tx, webhook_id, FailedAttempt(result.failure.reason, failures, now, due))
            return False

        return self._store.write(transact)


def forget_deliveries(store: Store, worker: str) -> bool:
    """Remove the waiting events of webhooks that were deleted; return True if there may be more to do at once."""
    jobs = store.repository.lease(FORGET, worker, 1, store.settings.job_lease)
    for job in jobs:

        def transact(tx: Write, webhook_id: str = job.job_id) -> bool:
            more = tx.drop_deliveries(webhook_id, _FORGET_BATCH)
            if not more:
                tx.finish(FORGET, webhook_id)
            return more

        if store.write(transact):
            store.repository.postpone(job, store.now())
    return bool(jobs)
