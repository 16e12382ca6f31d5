"""The door: snapshots, transactions that are repeated until they are settled, leases."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from time import sleep
from typing import Any, TypeVar

from tams.domain.clock import MICROSECONDS, now
from tams.domain.errors import Unavailable
from tams.domain.identifiers import new_id
from tams.repository.port import Job, Pace, Read, Write
from tams.repository.vast.concurrency.claims import Claims
from tams.repository.vast.concurrency.local_queue import Mutexes
from tams.repository.vast.concurrency.protocol import (
    CLAIMS,
    LOCK_COLUMNS,
    MODE_KEY,
    SINGLE,
    STRIPES,
    Attempt,
    Concurrency,
    Doubtful,
    Operation,
    Raced,
    check_agreed,
    clock,
)
from tams.repository.vast.concurrency.pruning import prune_ended
from tams.repository.vast.concurrency.single import SingleWriter
from tams.repository.vast.concurrency.stripes import Stripes
from tams.repository.vast.connection import Address, Cluster
from tams.repository.vast.failures import Broken, Collided
from tams.repository.vast.predicates import equal
from tams.repository.vast.staging import View
from tams.repository.vast.tables import LOCKS, REVISION, VERSIONS
from tams.repository.vast.transaction import VastRead, VastWrite

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_FAILURES = 4
_PRUNE_EVERY = 500
_KEPT = 24 * 3600 * MICROSECONDS
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 0.3
_WAYS: dict[str, Callable[[Cluster], Concurrency]] = {CLAIMS: Claims, STRIPES: Stripes, SINGLE: SingleWriter}


class VastRepository:
    """The repository of one process, on VAST Database. Nothing is connected until it is needed."""

    # A look is three requests or more, and nobody tells when it is worth while.
    patience = 4.0

    def __init__(self, address: Address) -> None:
        self._cluster = Cluster(address)
        self._mutexes = Mutexes()
        self._concurrency = _WAYS[address.concurrency](self._cluster)
        self._writes = itertools.count(1)

    @property
    def pace(self) -> Pace:
        """How to go about large numbers: a transaction costs so much by itself that it should do much."""
        return Pace(500, 1.0)

    @contextmanager
    def read(self) -> Iterator[Read]:
        """A snapshot for one request."""
        with self._reading() as snapshot:
            yield snapshot

    def ask(self, question: Callable[[Read], T]) -> T:
        """The answer to one question. Here it needs a transaction as any other."""
        with self._reading() as snapshot:
            return question(snapshot)

    def write(self, op: str, body: Callable[[Write], T]) -> T:
        """Run `body` in a transaction and commit it."""
        result = self._write(op, body)
        if next(self._writes) % _PRUNE_EVERY == 0:
            try:
                self.prune(now() - _KEPT)
            except Unavailable as error:
                logger.warning("old locks were not removed: %s", error)
        return result

    def prune(self, before: int) -> None:
        """Remove some of the locks that nobody has used since the moment (microseconds), a day ago or earlier."""
        prune_ended(self._cluster, before)
        self._write(new_id(), lambda tx: tx.forget_states(before))

    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        """Jobs of the kind that are due, each lent to one worker for a while."""
        with self._reading() as snapshot:
            if not snapshot.any_due(kind):
                return []
        return self._write(new_id(), lambda tx: tx.lend(kind, worker, limit, seconds))

    def prolong(self, job: Job, seconds: int) -> bool:
        """Hold a leased job for longer; False where the lease was lost."""
        return self._write(new_id(), lambda tx: tx.prolong(job, seconds))

    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None = None) -> None:
        """Give a leased job back, to be done later (microseconds)."""
        self._write(new_id(), lambda tx: tx.postpone(job, due, payload))

    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and is one that this process can write to.

        Its schema is the one that this code needs, and its concurrency that of this process.
        """
        with self._cluster.snapshot() as snapshot:
            found = {row["revision"] for row in snapshot.rows(VERSIONS, ("revision",), [])}
            modes = snapshot.rows(LOCKS, LOCK_COLUMNS, [equal("key", MODE_KEY)]) if REVISION in found else []
        if max(found, key=int, default="none") != REVISION:
            raise Unavailable(
                f"The database has schema {max(found, key=int, default='none')}, this version of the store needs "
                f"{REVISION}."
            )
        check_agreed(modes, self._cluster.address.concurrency)

    def close(self) -> None:
        """Release connections."""
        try:
            self._concurrency.close()
        finally:
            self._cluster.forget()

    @contextmanager
    def _reading(self) -> Iterator[VastRead]:
        view = View(self._cluster.begin)
        try:
            # What is read later is of this moment, whatever is asked first.
            _ = view.snapshot
            yield VastRead(view)
        finally:
            view.end()

    def _write(self, op: str, body: Callable[[VastWrite], T]) -> T:
        operation = Operation(op, self._cluster.address.operation_timeout)
        failures = 0
        while True:
            try:
                with self._concurrency.turn(operation):
                    return self._attempt(operation, body)
            except Doubtful:
                logger.exception("operation %s: the database went away before it said whether it was stored", op)
                raise
            except (Raced, Collided):
                operation.races += 1
                operation.check_time()
                pause = _SHORTEST_PAUSE * 2 ** min(operation.races, 3)
            except Broken:
                failures += 1
                if failures >= _MOST_FAILURES or clock() > operation.deadline:
                    raise
                pause = _SHORTEST_PAUSE * 4**failures
            sleep(min(_LONGEST_PAUSE, pause) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def _attempt(self, operation: Operation, body: Callable[[VastWrite], T]) -> T:
        attempt = self._concurrency.attempt(operation)
        view = View(self._cluster.begin, writing=True)
        held: set[str] = set()

        def queue(names: Collection[str]) -> bool:
            got, waited = self._mutexes.acquire(set(names) - held)
            held.update(got)
            return waited and view.begun

        def read_locks(locks: Collection[str]) -> None:
            attempt.read(view.snapshot, locks, patient=True)

        try:
            queue(operation.locks)
            tx = VastWrite(view, queue, read_locks)
            try:
                result = body(tx)
                locks = tx.finished()
            except BaseException:
                view.end()
                raise
            if view.changed or tx.forgotten:
                operation.locks = operation.locks | locks
                self._store(attempt, view, locks, tx.forgotten)
            else:
                view.end()
            return result
        finally:
            self._mutexes.release(held)

    def _store(self, attempt: Attempt, view: View, locks: frozenset[str], forgotten: frozenset[str]) -> None:
        d = view.snapshot
        try:
            view.locate()
            attempt.settle_conflicts(d, locks)
            view.flush()
            attempt.record(d, locks, forgotten)
            attempt.commit(d)
        except BaseException:
            attempt.withdraw(d)
            raise
