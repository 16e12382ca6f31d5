"""The single writer: one process writes, one transaction after the other.

It is for clusters that offer nothing to keep several writers apart with. It needs two things from the cluster: a commit
makes all its tables visible at once, and a transaction sees everything that was committed before it began.

The writer stores a record that names it, and changes the record every few seconds. Each transaction checks the record
before it writes, and a new transaction checks it again right before the commit. A process that finds the record of
another writer stops writing.

A process that starts and finds a record watches it for `claim_timeout`, by its own clock. If the record changes, there
is another writer, and this process refuses to write. If not, that writer is gone, and its record is replaced. One case
remains: a writer that was paused between its last check and its commit, and continues after it was replaced. Nothing
can prevent that without conflicts and without a way to end its transaction.

If the outcome of a commit is in doubt, the transaction is rolled back until the cluster answers that it does not exist
(404). An answer of 200 is not trusted. Until then no other write begins, because the commit might still land between
its reads and its own commit.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from typing_extensions import override

from tams.domain.errors import Contended, Unavailable
from tams.domain.identifiers import new_id
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.concurrency.clock import boot_clock
from tams.repository.vast.concurrency.interface import Attempt, Concurrency
from tams.repository.vast.concurrency.lock_rows import LOCK_COLUMNS, lock_row, stored_record
from tams.repository.vast.concurrency.modes import MODE_KEY, SINGLE, check_mode
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.concurrency.outcome import has_record, settle_outcome
from tams.repository.vast.concurrency.retries import BRIEFLY, retry_until
from tams.repository.vast.connection import Cluster
from tams.repository.vast.predicates import among, equal
from tams.repository.vast.sessions import Address
from tams.repository.vast.tables import LOCKS, Row

logger = logging.getLogger(__name__)

WRITER, WRITER_KEY = "writer", "writer"
_HEARTBEATS = 4
"""Changes of a writer's record during `claim_timeout`, for which another process watches it."""
_MAX_BACKOFF = 600.0


class SingleWriter(Concurrency):
    """The single writer, for all writes of a repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._turn = threading.Lock()
        self._pid = 0
        self._name = ""
        self._displaced = threading.Event()
        self._stop: threading.Event | None = None
        self._refused: tuple[float, str] = (0, "")
        self._in_doubt: dict[int, _Backoff] = {}

    @override
    @contextmanager
    def turn(self, operation: Operation) -> Iterator[None]:
        # One write at a time, by the only writer, after every transaction in doubt has ended.
        if not self._turn.acquire(timeout=max(0.0, operation.deadline - boot_clock())):
            raise Contended("Other writes take too long; try again.")
        try:
            self._settle_doubts()
            self._become_writer()
            yield
        finally:
            self._turn.release()

    @override
    def attempt(self, operation: Operation) -> SingleAttempt:
        return SingleAttempt(self._cluster, operation, self)

    @override
    def close(self) -> None:
        # Without the record the next writer need not wait.
        if self._stop is None or self._pid != os.getpid():
            return
        self._stop.set()
        self._stop = None
        try:
            with self._cluster.committed() as e:
                own_ids = [row[ROW_ID] for row in _writer_rows(e) if row["op"] == self._name]
                if own_ids:
                    e.delete(LOCKS, own_ids)
        except Unavailable as error:
            logger.warning("the next writer has to wait: the record of %s was not removed: %s", self._name, error)

    def check(self, snapshot: ClusterTransaction) -> None:
        """Raise `Unavailable` unless this process is the writer, and the only one."""
        rows = snapshot.rows(LOCKS, LOCK_COLUMNS, [among("key", {WRITER_KEY, MODE_KEY})])
        check_mode(rows, SINGLE)
        names = {row["op"] for row in rows if row["kind"] == WRITER}
        if names == {self._name} and not self._displaced.is_set():
            return
        self._displaced.set()
        others = ", ".join(sorted(names - {self._name})) or "an unknown process"
        raise Unavailable(
            f"This process writes no more, because {others} replaced it as the only writer. With "
            "TAMS_VAST_CONCURRENCY=single only one server may run, and no worker beside it: stop one of them."
        )

    def doubt(self, txid: int) -> None:
        """Note that a transaction may still be committed: nothing is written before it has ended."""
        self._in_doubt.setdefault(txid, _Backoff())

    def check_ended(self, txid: int) -> None:
        """Raise `Unavailable` unless the cluster says that there is no such open transaction any more."""
        if not self._cluster.is_gone(txid):
            raise _still_open(txid)

    def _settle_doubts(self) -> None:
        for txid, backoff in list(self._in_doubt.items()):
            # A question about the transaction may keep it open, so the pauses between two questions grow.
            if not backoff.is_over():
                raise _still_open(txid)
            retry_until(boot_clock() + BRIEFLY, functools.partial(self.check_ended, txid))
            del self._in_doubt[txid]

    def _become_writer(self) -> None:
        if self._stop is not None and self._pid == os.getpid():
            return
        until, reason = self._refused
        if boot_clock() < until:
            raise Unavailable(reason)
        self._pid, self._name = os.getpid(), f"{socket.gethostname()} {os.getpid()} {new_id()}"
        self._displaced.clear()
        try:
            replaced = find_abandoned_writers(self._cluster)
        except OtherWriter as error:
            self._refused = (boot_clock() + self._cluster.address.claim_timeout, str(error))
            raise
        self._store_record(replaced)
        self._stop = threading.Event()
        threading.Thread(
            target=self._send_heartbeats, args=(self._stop, self._name), name="writer-record", daemon=True
        ).start()
        logger.warning(
            "TAMS_VAST_CONCURRENCY is single: %s is the only process that may write to this database", self._name
        )

    def _store_record(self, replaced: set[str]) -> None:
        with self._cluster.committed() as e:
            rows = _writer_rows(e)
            if {row["op"] for row in rows} - replaced:
                raise OtherWriter(_other_writer_message(rows))
            if rows:
                e.delete(LOCKS, [row[ROW_ID] for row in rows])
            e.insert(LOCKS, [lock_row(WRITER_KEY, WRITER, self._name, 0)])

    def _send_heartbeats(self, stop: threading.Event, name: str) -> None:
        """Change the record at intervals, until this writer is closed or replaced."""
        beats = 0
        while not stop.wait(self._cluster.address.claim_timeout / _HEARTBEATS):
            beats += 1
            try:
                if self._renew(name, beats):
                    continue
            except Unavailable as error:
                logger.warning("the record of the only writer was not renewed: %s", error)
                continue
            if not stop.is_set():
                logger.error("another process has replaced this one (%s) as the only writer: it writes no more", name)
                self._displaced.set()
            return

    def _renew(self, name: str, beats: int) -> bool:
        """Change the record if it is the only one; return whether it is."""
        with self._cluster.committed() as e:
            rows = _writer_rows(e)
            alone = {row["op"] for row in rows} == {name}
            if alone:
                e.update(LOCKS, [(row[ROW_ID], lock_row(WRITER_KEY, WRITER, name, beats)) for row in rows])
        return alone


class SingleAttempt(Attempt):
    """One transaction D of an operation, by the single writer."""

    def __init__(self, cluster: Cluster, operation: Operation, writer: SingleWriter) -> None:
        self._cluster = cluster
        self._operation = operation
        self._writer = writer

    @override
    def read(self, d: ClusterTransaction, locks: Collection[str], *, patient: bool) -> None:
        # Nothing to read: no other operation is under way.
        pass

    @override
    def settle_conflicts(self, d: ClusterTransaction, _locks: Collection[str]) -> None:
        self._operation.check_time()
        self._writer.check(d)

    @override
    def record(self, d: ClusterTransaction, _locks: Collection[str], _forgotten: Collection[str] = ()) -> None:
        d.insert(LOCKS, [stored_record(self._operation, d.txid)])
        with self._cluster.snapshot() as v:
            self._writer.check(v)

    @override
    def commit(self, d: ClusterTransaction) -> None:
        try:
            d.commit()
        except Unavailable as error:
            self._writer.doubt(d.txid)
            settle_outcome(self._operation, d.txid, error, lambda: self._is_stored(d.txid))

    @override
    def withdraw(self, d: ClusterTransaction) -> None:
        d.roll_back()

    def _is_stored(self, txid: int) -> bool:
        self._writer.check_ended(txid)
        return has_record(self._cluster, self._operation, txid)


class OtherWriter(Unavailable):
    """Another process writes to the database."""


class _Backoff:
    """The pause before the cluster is asked about a transaction again. It doubles each time, up to 600 seconds."""

    def __init__(self) -> None:
        self._length = 1.0
        self._until = 0.0

    def is_over(self) -> bool:
        """Return True if the pause is over, and begin the next one."""
        if boot_clock() < self._until:
            return False
        self._until = boot_clock() + self._length
        self._length = min(2 * self._length, _MAX_BACKOFF)
        return True


def check_alone(address: Address) -> None:
    """Raise `OtherWriter` if another process writes to the database.

    If there is the record of a writer, this takes `claim_timeout`.
    """
    cluster = Cluster(address)
    try:
        find_abandoned_writers(cluster)
    finally:
        cluster.forget()


def find_abandoned_writers(cluster: Cluster) -> set[str]:
    """Return the writers whose records exist and do not change. If there are records, this takes `claim_timeout`.

    Raises:
        OtherWriter: a record changes.
    """
    first = _read_writer_rows(cluster)
    if not first:
        return set()
    logger.warning("there is a record of another writer: watching whether it is alive")
    time.sleep(cluster.address.claim_timeout)
    second = _read_writer_rows(cluster)
    if {(row["op"], row["txid"]) for row in second} - {(row["op"], row["txid"]) for row in first}:
        raise OtherWriter(_other_writer_message(second))
    return {row["op"] for row in second}


def _read_writer_rows(cluster: Cluster) -> list[Row]:
    with cluster.snapshot() as snapshot:
        return _writer_rows(snapshot)


def _writer_rows(snapshot: ClusterTransaction) -> list[Row]:
    rows = snapshot.rows(LOCKS, LOCK_COLUMNS, [equal("key", WRITER_KEY)], row_ids=True)
    return [row for row in rows if row["kind"] == WRITER]


def _other_writer_message(rows: list[Row]) -> str:
    names = ", ".join(sorted(" process ".join(row["op"].split(" ")[:2]) for row in rows))
    return (
        f"TAMS_VAST_CONCURRENCY is single, and there is another process that writes to this database ({names}): stop "
        "it, or leave the work to it."
    )


def _still_open(txid: int) -> Unavailable:
    return Unavailable(
        f"The database does not say whether transaction {txid} has ended, and until then nothing is written."
    )
