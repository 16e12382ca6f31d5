"""The repository on VAST Database: snapshots, writes that are repeated until they are settled, and leases."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from typing_extensions import override

from tams.domain.clock import MICROSECONDS, now
from tams.domain.errors import Unavailable, Unusable
from tams.domain.identifiers import new_id
from tams.repository.port import Job, Pace, Read, Repository, Write
from tams.repository.vast.concurrency.claims import Claims
from tams.repository.vast.concurrency.interface import Attempt, Concurrency
from tams.repository.vast.concurrency.local_queue import LocalQueue
from tams.repository.vast.concurrency.lock_rows import LOCK_COLUMNS, lock_row
from tams.repository.vast.concurrency.modes import CLAIMS, MODE_KEY, SINGLE, STRIPES, check_mode
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.concurrency.outcome import OutcomeInDoubt
from tams.repository.vast.concurrency.pruning import prune_ended
from tams.repository.vast.concurrency.retries import WriteRetries
from tams.repository.vast.concurrency.single_writer import SingleWriter
from tams.repository.vast.concurrency.stripes import Stripes
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import is_forbidden
from tams.repository.vast.predicates import equal
from tams.repository.vast.sessions import Address
from tams.repository.vast.staging import StagedView
from tams.repository.vast.tables import LOCKS, REVISION, VERSIONS
from tams.repository.vast.transaction import VastRead, VastWrite

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PRUNE_EVERY = 500
"""Writes of one process between two removals of old locks."""
_LOCK_RETENTION = 24 * 3600 * MICROSECONDS
_MODES: dict[str, Callable[[Cluster], Concurrency]] = {CLAIMS: Claims, STRIPES: Stripes, SINGLE: SingleWriter}


class VastRepository(Repository):
    """The repository of one process, on VAST Database. It connects on first use."""

    # A look takes at least three requests, and the cluster sends no notifications.
    patience = 4.0

    def __init__(self, address: Address) -> None:
        self._cluster = Cluster(address)
        self._queue = LocalQueue()
        self._concurrency = _MODES[address.concurrency](self._cluster)
        self._writes = itertools.count(1)

    @property
    @override
    def pace(self) -> Pace:
        # The fixed cost of a transaction is high, so each should do much.
        return Pace(500, 1.0)

    @override
    @contextmanager
    def read(self) -> Iterator[Read]:
        with self._reading() as snapshot:
            yield snapshot

    @override
    def ask(self, question: Callable[[Read], T]) -> T:
        # On this engine even one question takes a transaction.
        with self._reading() as snapshot:
            return question(snapshot)

    @override
    def write(self, op: str, transact: Callable[[Write], T]) -> T:
        result = self._write(op, transact)
        if next(self._writes) % _PRUNE_EVERY == 0:
            try:
                self.prune(now() - _LOCK_RETENTION)
            except Unavailable as error:
                logger.warning("old locks were not removed: %s", error)
        return result

    def prune(self, before: int) -> None:
        """Remove some of the locks that were last used before a moment (microseconds), at least a day ago."""
        prune_ended(self._cluster, before)
        self._write(new_id(), lambda tx: tx.forget_states(before))

    @override
    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        with self._reading() as snapshot:
            if not snapshot.any_due(kind):
                return []
        return self._write(new_id(), lambda tx: tx.lease(kind, worker, limit, seconds))

    @override
    def prolong(self, job: Job, seconds: int) -> bool:
        return self._write(new_id(), lambda tx: tx.prolong(job, seconds))

    @override
    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None = None) -> None:
        self._write(new_id(), lambda tx: tx.postpone(job, due, payload))

    @override
    def check(self) -> None:
        # Besides the schema, the mode of the database has to be the one of this process.
        with self._cluster.snapshot() as snapshot:
            revisions = {row["revision"] for row in snapshot.rows(VERSIONS, ("revision",), [])}
            modes = snapshot.rows(LOCKS, LOCK_COLUMNS, [equal("key", MODE_KEY)]) if REVISION in revisions else []
        latest = max(revisions, key=int, default="none")
        if latest != REVISION:
            raise Unavailable(
                f"The database has schema {latest}, this version of the store needs {REVISION}: run `tams db upgrade`."
            )
        check_mode(modes, self._cluster.address.concurrency)

    # A rolled-back insertion: the cluster checks the keys' permissions with each request.
    @override
    def check_writable(self) -> None:
        snapshot = self._cluster.begin()
        try:
            snapshot.insert(LOCKS, [lock_row(f"check {new_id()}", "check", "", 0)])
        except Unavailable as error:
            if is_forbidden(error):
                raise Unusable(
                    "The database accepts no changes.",
                    str(error),
                    f"Give the access key {self._cluster.address.access_key} an identity policy that lets it write to "
                    f"the schema {self._cluster.address.schema} of the bucket {self._cluster.address.bucket}.",
                ) from error
            raise
        finally:
            snapshot.roll_back()

    @override
    def close(self) -> None:
        try:
            self._concurrency.close()
        finally:
            self._cluster.forget()

    @contextmanager
    def _reading(self) -> Iterator[VastRead]:
        view = StagedView(self._cluster.begin)
        try:
            # Begin now: every read is of this moment, whichever comes first.
            _ = view.snapshot
            yield VastRead(view)
        finally:
            view.end()

    def _write(self, op: str, transact: Callable[[VastWrite], T]) -> T:
        operation = Operation(op, self._cluster.address.operation_timeout)

        def attempt() -> T:
            with self._concurrency.turn(operation):
                return self._attempt(operation, transact)

        try:
            return WriteRetries(operation).call(attempt)
        except OutcomeInDoubt:
            logger.exception("operation %s: the database does not say whether it is stored", op)
            raise

    def _attempt(self, operation: Operation, transact: Callable[[VastWrite], T]) -> T:
        attempt = self._concurrency.attempt(operation)
        view = StagedView(self._cluster.begin, writing=True)
        queued: set[str] = set()

        def queue(locks: Collection[str]) -> bool:
            acquired, waited = self._queue.acquire(set(locks) - queued)
            queued.update(acquired)
            return waited and view.has_begun

        def read_locks(locks: Collection[str]) -> None:
            attempt.read(view.snapshot, locks, patient=True)

        try:
            queue(operation.locks)
            tx = VastWrite(view, queue, read_locks)
            try:
                result = transact(tx)
                locks = tx.finish_callback()
            except BaseException:
                view.end()
                raise
            if view.has_changes or tx.forgotten:
                operation.locks = operation.locks | locks
                self._store(attempt, view, locks, tx.forgotten)
            else:
                view.end()
            return result
        finally:
            self._queue.release(queued)

    def _store(self, attempt: Attempt, view: StagedView, locks: frozenset[str], forgotten: frozenset[str]) -> None:
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
