"""Sending events to webhooks: in order for each, and for many at once, so that none waits for another's receiver.

Whoever leases a webhook's job sends for a while and gives it back. A worker that is killed loses nothing: what was not
acknowledged is sent again when its lease ends, under the same id. Receivers that fail or take long are sent to by
threads of their own.
"""

from __future__ import annotations

import http.client
import logging
import random
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final

from tams.domain.clock import MICROSECONDS
from tams.domain.destinations import parse_allowed
from tams.domain.errors import TamsError
from tams.domain.events import Delivery
from tams.domain.webhooks import Webhook
from tams.repository.port import Job, Write
from tams.services.egress import Channel, Outbound, Refused
from tams.services.rendering.events import event_json
from tams.services.store import Store
from tams.services.webhooks import webhooks
from tams.services.webhooks.queue import FORGET, QUICK, SLOW, Lane, load_queue, move
from tams.services.webhooks.signatures import signed_headers

logger = logging.getLogger(__name__)

_EVERY: Final = 1.0
# Events that are read at once: what a worker holds in memory for a webhook, and what it may send again after a kill.
_BATCH: Final = 32
# Seconds until a look whether the webhook was disabled, deleted or changed.
_LOOK_AGAIN: Final = 1.0
# A receiver that takes longer goes to the slow ones.
_SLOW_AFTER: Final = 1.0
_MOST_OF_AN_ANSWER: Final = 64 * 1024
_LONGEST_RETRY_AFTER: Final = 3600
_AFTER_TROUBLE: Final = 5 * MICROSECONDS
_FORGOTTEN_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an event was not delivered; `retry_after` is what the receiver asked for, in seconds."""

    reason: str
    retry_after: float = 0.0


@dataclass(slots=True)
class _Sent:
    """What became of a batch: the last event that was delivered, and the failure that ended it."""

    through: int | None = None
    failure: _Failure | None = None
    slow: bool = False


class Deliverer:
    """The part of a worker that sends. Thread-safe."""

    def __init__(self, store: Store, worker: str, stop: threading.Event) -> None:
        settings = store.settings
        self._store = store
        self._worker = worker
        self._stop = stop
        self._outbound = Outbound(parse_allowed(settings.outbound_allow))
        self._key = settings.webhook_signing_key()
        self._timeout = settings.webhook_timeout
        # Nothing is begun that might not end within the lease.
        self._lease = max(settings.job_lease, 2 * self._timeout + 2)
        self._turn = min(self._lease / 2, self._lease - self._timeout - 1)
        self._wake = threading.Event()
        threads = settings.webhook_threads
        self._free = {QUICK: threads, SLOW: threads}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2 * threads, thread_name_prefix="deliver")

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def step(self) -> bool:
        """Have threads take what is due, then wait until there may be more."""
        self._wake.clear()
        for lane in (QUICK, SLOW):
            free = self._free[lane]
            for job in self._store.repository.lease(lane, self._worker, free, self._lease) if free else ():
                with self._lock:
                    self._free[lane] -= 1
                self._pool.submit(self._take_turn, job, lane)
        self._wake.wait(_EVERY)
        return True

    def close(self) -> None:
        """Wait for the threads; each ends with the event that it is sending."""
        self._pool.shutdown()

    def _take_turn(self, job: Job, lane: Lane) -> None:
        try:
            if self._deliver(job, lane):
                self._store.repository.postpone(job, self._store.now(), {"failures": 0})
        except TamsError as error:
            logger.warning("webhook %s has to wait: %s", job.job_id, error)
            with suppress(TamsError):
                self._store.repository.postpone(job, self._store.now() + _AFTER_TROUBLE)
        except Exception:
            # The worker outlives every fault: the job comes back when its lease ends.
            logger.exception("sending to webhook %s failed", job.job_id)
        finally:
            with self._lock:
                self._free[lane] += 1
            self._wake.set()

    def _deliver(self, job: Job, lane: Lane) -> bool:
        """Send what waits for a webhook, batch by batch; True where the turn ended before it was all sent."""
        until = time.monotonic() + self._turn
        failures: int = job.payload["failures"]
        channel: Channel | None = None
        try:
            url = ""
            while not self._stop.is_set() and time.monotonic() < until:
                webhook, waiting = self._look(job.job_id)
                if webhook is not None and webhook.status == "created" and waiting:
                    webhook = self._start(job.job_id)
                if webhook is None or not webhook.sends:
                    self._give_up(job.job_id, lane)
                    return False
                if channel is None or url != webhook.url:
                    if channel is not None:
                        channel.close()
                    url, channel = webhook.url, self._outbound.channel(webhook.url)
                sent = self._send_all(channel, webhook, waiting, until)
                if sent.through is not None:
                    failures = 0
                failures += sent.failure is not None
                if not self._settle(job.job_id, lane, sent, failures):
                    return False
        finally:
            if channel is not None:
                channel.close()
        return True

    def _look(self, webhook_id: str) -> tuple[Webhook | None, list[Delivery]]:
        with self._store.repository.read() as read:
            return webhooks.load(read, webhook_id), read.deliveries(webhook_id, _BATCH)

    def _start(self, webhook_id: str) -> Webhook | None:
        """Note that sending begins, unless somebody stopped it meanwhile."""

        def transact(tx: Write) -> Webhook | None:
            tx.claim(("document", webhook_id))
            webhook = webhooks.load(tx, webhook_id)
            if webhook is not None and webhook.status == "created":
                webhook = replace(webhook, status="started")
                webhooks.save(tx, webhook)
            return webhook

        return self._store.write(transact)

    def _give_up(self, webhook_id: str, lane: Lane) -> None:
        """End the job of a webhook that was deleted or stopped."""

        def transact(tx: Write) -> None:
            tx.claim(("document", webhook_id))
            webhook = webhooks.load(tx, webhook_id)
            if webhook is None:
                tx.finish(lane, webhook_id)
            elif not webhook.sends:
                move(tx, webhook_id, load_queue(tx, webhook_id), None, 0)

        self._store.write(transact)

    def _send_all(self, channel: Channel, webhook: Webhook, waiting: Sequence[Delivery], until: float) -> _Sent:
        sent = _Sent()
        look_again = min(until, time.monotonic() + _LOOK_AGAIN)
        for delivery in waiting:
            begun = time.monotonic()
            if self._stop.is_set() or begun >= look_again:
                break
            sent.failure = self._send(channel, webhook, delivery)
            sent.slow = sent.slow or time.monotonic() - begun > _SLOW_AFTER
            event = delivery.event
            if sent.failure is not None:
                logger.warning(
                    "webhook %s: event %s (%s) failed: %s", webhook.id, event.id, event.type, sent.failure.reason
                )
                break
            logger.debug("webhook %s: event %s (%s) was delivered", webhook.id, event.id, event.type)
            sent.through = delivery.sequence
        return sent

    def _send(self, channel: Channel, webhook: Webhook, delivery: Delivery) -> _Failure | None:
        body = event_json(self._store, delivery.event, webhook)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tams",
            **signed_headers(self._key, delivery.event.id, self._store.now() // MICROSECONDS, body),
            "Webhook-Sequence": str(delivery.sequence),
            **webhook.key_header,
        }
        try:
            answer = channel.send_request("POST", headers, body, self._timeout)
            if len(answer.read(_MOST_OF_AN_ANSWER)) == _MOST_OF_AN_ANSWER:
                channel.close()
        except (OSError, http.client.HTTPException) as error:
            channel.close()
            return _Failure(self._reason(error))
        if 200 <= answer.status < 300:
            return None
        redirected = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
        return _Failure(
            f"the receiver answered {answer.status}{redirected}", self._retry_after(answer.headers.get("Retry-After"))
        )

    def _reason(self, error: Exception) -> str:
        """What went wrong, for the client to read."""
        if isinstance(error, TimeoutError):
            return f"the receiver did not answer within {self._timeout} s"
        if isinstance(error, Refused):
            return str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the receiver's certificate was not accepted: {error.verify_message}"
        if isinstance(error, OSError):
            return f"the receiver could not be reached: {error.strerror or type(error).__name__}"
        return f"the receiver did not answer in HTTP: {type(error).__name__}"

    def _retry_after(self, value: str | None) -> float:
        """Seconds, from a number of them or a date; 0 for anything else."""
        if value is None:
            return 0.0
        if value.strip().isdecimal():
            return min(float(value), _LONGEST_RETRY_AFTER)
        try:
            seconds = parsedate_to_datetime(value).timestamp() - self._store.now() / MICROSECONDS
        except (ValueError, OverflowError):
            return 0.0
        return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)

    def _settle(self, webhook_id: str, lane: Lane, sent: _Sent, failures: int) -> bool:
        """Store what became of a batch; True where the turn goes on."""
        retries = self._store.settings.webhook_retries
        # Here, not in the transaction, which may run twice.
        chance = random.uniform(0.75, 1.25)  # noqa: S311 - no secret

        def transact(tx: Write) -> bool:
            tx.claim(("document", webhook_id))
            webhook = webhooks.load(tx, webhook_id)
            if sent.through is not None:
                tx.ack(webhook_id, sent.through)
            queue = load_queue(tx, webhook_id)
            # Stopped, deleted, or set going anew by a client meanwhile: then this job is not the queue's any more.
            if webhook is None or queue.lane != lane:
                return False
            now = self._store.now()
            if sent.failure is None:
                wanted: Lane | None = SLOW if sent.slow else QUICK
                if not tx.deliveries(webhook_id, 1):
                    wanted = None
                if wanted != lane:
                    move(tx, webhook_id, queue, wanted, now)
                return wanted == lane
            if failures > len(retries):
                webhooks.save(tx, webhook.failed("DeliveryFailed", sent.failure.reason, now))
                move(tx, webhook_id, queue, None, 0)
                logger.error("webhook %s is in error: %s", webhook_id, sent.failure.reason)
                return False
            wait = max(retries[failures - 1] * chance, sent.failure.retry_after)
            move(tx, webhook_id, queue, SLOW, now + int(wait * MICROSECONDS), failures)
            return False

        return self._store.write(transact)


def forget_deliveries(store: Store, worker: str) -> bool:
    """Remove what waits for webhooks that were deleted; True where there is more to do at once."""
    jobs = store.repository.lease(FORGET, worker, 1, store.settings.job_lease)
    for job in jobs:

        def transact(tx: Write, webhook_id: str = job.job_id) -> bool:
            more = tx.drop_deliveries(webhook_id, _FORGOTTEN_AT_ONCE)
            if not more:
                tx.finish(FORGET, webhook_id)
            return more

        if store.write(transact):
            store.repository.postpone(job, store.now())
    return bool(jobs)
