"""One process writes, one transaction after the other: for clusters that offer nothing to keep several apart with.

What such a cluster has to do: commit all tables at once, and show a transaction everything that was committed before
it. The writer stores who it is, and changes that record every few seconds. Each transaction looks for it before it
writes, and a new one right before the commit; whoever finds another one there writes no more.

A process that begins and finds a record watches it for `claim_timeout`, by its own clock: where it changes, there is
another writer, and this one refuses to write. Where it does not, that writer is gone, and its record is replaced. What
this cannot keep away is a writer that was stopped between its last look and its commit, and goes on after it was
replaced. Nothing could, without conflicts and without ending its transaction.

Where the outcome of a commit is in doubt, the transaction is rolled back until the cluster says that it is not there
(404): an answer of 200 is not believed. Until then no other write is begun, because the commit might still land
between its reads and its own commit.
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

from tams.domain.errors import Contended, Unavailable
from tams.domain.identifiers import new_id
from tams.repository.vast.concurrency.protocol import (
    BRIEFLY,
    LOCK_COLUMNS,
    MODE_KEY,
    SINGLE,
    Operation,
    check_agreed,
    clock,
    insist,
    lock_row,
    settle,
    stored_row,
    was_stored,
)
from tams.repository.vast.connection import ROW_ID, Address, Cluster, Snapshot
from tams.repository.vast.predicates import among, equal
from tams.repository.vast.tables import LOCKS, Row

logger = logging.getLogger(__name__)

WRITER, WRITER_KEY = "writer", "writer"
_BEATS = 4
"""So often a writer changes its record while another one watches it."""
_LONGEST_REST = 600.0


class SingleWriter:
    """This way, for all writes of a repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._turn = threading.Lock()
        self._pid = 0
        self._name = ""
        self._displaced = threading.Event()
        self._stop: threading.Event | None = None
        self._refused: tuple[float, str] = (0, "")
        self._doubtful: dict[int, _Rest] = {}

    @contextmanager
    def turn(self, operation: Operation) -> Iterator[None]:
        """One write at a time, by the only writer, after all that may still be under way."""
        if not self._turn.acquire(timeout=max(0.0, operation.deadline - clock())):
            raise Contended("Other writes take too long; try again.")
        try:
            self._settle_doubts()
            self._be_the_writer()
            yield
        finally:
            self._turn.release()

    def attempt(self, operation: Operation) -> SingleAttempt:
        """For the next transaction of an operation."""
        return SingleAttempt(self._cluster, operation, self)

    def close(self) -> None:
        """Take the record away, so that the next writer need not wait."""
        if self._stop is None or self._pid != os.getpid():
            return
        self._stop.set()
        self._stop = None
        try:
            with self._cluster.committed() as e:
                mine = [row[ROW_ID] for row in _writers(e) if row["op"] == self._name]
                if mine:
                    e.delete(LOCKS, mine)
        except Unavailable as error:
            logger.warning("the next writer has to wait: the record of %s was not removed: %s", self._name, error)

    def check(self, snapshot: Snapshot) -> None:
        """`Unavailable` unless this is the writer, and the only one."""
        rows = snapshot.rows(LOCKS, LOCK_COLUMNS, [among("key", {WRITER_KEY, MODE_KEY})])
        check_agreed(rows, SINGLE)
        names = {row["op"] for row in rows if row["kind"] == WRITER}
        if names == {self._name} and not self._displaced.is_set():
            return
        self._displaced.set()
        others = ", ".join(sorted(names - {self._name})) or "somebody"
        raise Unavailable(
            f"This process writes no more, because it was replaced as the only writer, by {others}. With "
            "TAMS_VAST_CONCURRENCY=single there is one server and nothing beside it: stop one of them."
        )

    def doubt(self, txid: int) -> None:
        """A transaction may still be committed: nothing is written before it has ended."""
        self._doubtful.setdefault(txid, _Rest())

    def check_ended(self, txid: int) -> None:
        """`Unavailable` unless the cluster says that there is no such open transaction any more."""
        if not self._cluster.is_gone(txid):
            raise _still_open(txid)

    def _settle_doubts(self) -> None:
        for txid, rest in list(self._doubtful.items()):
            # Being asked for may keep it open: so it is left alone for longer and longer.
            if not rest.is_over():
                raise _still_open(txid)
            insist(functools.partial(self.check_ended, txid), clock() + BRIEFLY)
            del self._doubtful[txid]

    def _be_the_writer(self) -> None:
        if self._stop is not None and self._pid == os.getpid():
            return
        until, reason = self._refused
        if clock() < until:
            raise Unavailable(reason)
        self._pid, self._name = os.getpid(), f"{socket.gethostname()} {os.getpid()} {new_id()}"
        self._displaced.clear()
        try:
            replaced = abandoned(self._cluster)
        except OtherWriter as error:
            self._refused = (clock() + self._cluster.address.claim_timeout, str(error))
            raise
        self._store_record(replaced)
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop, self._name), name="writer-record", daemon=True).start()
        logger.warning(
            "TAMS_VAST_CONCURRENCY is single: %s is the only process that may write to this database", self._name
        )

    def _store_record(self, replaced: set[str]) -> None:
        with self._cluster.committed() as e:
            rows = _writers(e)
            if {row["op"] for row in rows} - replaced:
                raise OtherWriter(_another(rows))
            if rows:
                e.delete(LOCKS, [row[ROW_ID] for row in rows])
            e.insert(LOCKS, [lock_row(WRITER_KEY, WRITER, self._name, 0)])

    def _beat(self, stop: threading.Event, name: str) -> None:
        """Change the record now and then, until this writer is closed or replaced."""
        beats = 0
        while not stop.wait(self._cluster.address.claim_timeout / _BEATS):
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
        """Change the record, if it is the only one; whether it is."""
        with self._cluster.committed() as e:
            rows = _writers(e)
            alone = {row["op"] for row in rows} == {name}
            if alone:
                e.update(LOCKS, [(row[ROW_ID], lock_row(WRITER_KEY, WRITER, name, beats)) for row in rows])
        return alone


class SingleAttempt:
    """One D of an operation. See `concurrency.Attempt`."""

    def __init__(self, cluster: Cluster, operation: Operation, writer: SingleWriter) -> None:
        self._cluster = cluster
        self._operation = operation
        self._writer = writer

    def read(self, d: Snapshot, locks: Collection[str], *, patient: bool) -> None:
        """Nothing: nobody else is under way."""

    def settle_conflicts(self, d: Snapshot, _locks: Collection[str]) -> None:
        """Look whether this is the only writer."""
        self._operation.check_time()
        self._writer.check(d)

    def record(self, d: Snapshot, _locks: Collection[str], _forgotten: Collection[str] = ()) -> None:
        """That D is stored."""
        d.insert(LOCKS, [stored_row(self._operation, d.txid)])
        with self._cluster.snapshot() as v:
            self._writer.check(v)

    def commit(self, d: Snapshot) -> None:
        """Commit D."""
        try:
            d.commit()
        except Unavailable as error:
            self._writer.doubt(d.txid)
            settle(self._operation, d.txid, error, lambda: self._was_stored(d.txid))

    def withdraw(self, d: Snapshot) -> None:
        """Let go of everything."""
        d.roll_back()

    def _was_stored(self, txid: int) -> bool:
        self._writer.check_ended(txid)
        return was_stored(self._cluster, self._operation, txid)


class OtherWriter(Unavailable):
    """Another process writes."""


class _Rest:
    """How long a transaction is left alone before it is asked for again: longer each time."""

    def __init__(self) -> None:
        self._length = 1.0
        self._until = 0.0

    def is_over(self) -> bool:
        """Whether it is; then the next one begins."""
        if clock() < self._until:
            return False
        self._until = clock() + self._length
        self._length = min(2 * self._length, _LONGEST_REST)
        return True


def check_alone(address: Address) -> None:
    """`OtherWriter` where another process writes to the database; takes `claim_timeout` where one has."""
    cluster = Cluster(address)
    try:
        abandoned(cluster)
    finally:
        cluster.forget()


def abandoned(cluster: Cluster) -> set[str]:
    """The writers whose records are there and do not change, which takes a while to see. `OtherWriter` if one does."""
    first = _looked_at(cluster)
    if not first:
        return set()
    logger.warning("there is a record of another writer: watching whether it is alive")
    time.sleep(cluster.address.claim_timeout)
    second = _looked_at(cluster)
    if {(row["op"], row["txid"]) for row in second} - {(row["op"], row["txid"]) for row in first}:
        raise OtherWriter(_another(second))
    return {row["op"] for row in second}


def _looked_at(cluster: Cluster) -> list[Row]:
    with cluster.snapshot() as snapshot:
        return _writers(snapshot)


def _writers(snapshot: Snapshot) -> list[Row]:
    rows = snapshot.rows(LOCKS, LOCK_COLUMNS, [equal("key", WRITER_KEY)], row_ids=True)
    return [row for row in rows if row["kind"] == WRITER]


def _another(rows: list[Row]) -> str:
    names = ", ".join(sorted(" process ".join(row["op"].split(" ")[:2]) for row in rows))
    return (
        f"TAMS_VAST_CONCURRENCY is single, and there is another process that writes to this database ({names}): stop "
        "it, or leave the work to it."
    )


def _still_open(txid: int) -> Unavailable:
    return Unavailable(
        f"The database does not say what becomes of transaction {txid}, and until then nothing is written."
    )
