"""What keeps two changes of one thing apart: three ways, of which one database has one.

`claims`: the protocol in `claims`, which needs no conflicts from the cluster. `stripes`: conflicts on rows that are
made for it, for clusters that see these and cannot end a transaction of another session. `single`: one process writes.

They do not see each other. So the way is stored in the database, and every transaction that writes looks for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeVar

from tams.domain.clock import now
from tams.domain.errors import Contended, Unavailable
from tams.repository.vast.connection import Cluster, Snapshot
from tams.repository.vast.predicates import equal
from tams.repository.vast.tables import LOCKS, Row

logger = logging.getLogger(__name__)

T = TypeVar("T")

CLAIMS: Final = "claims"
STRIPES: Final = "stripes"
SINGLE: Final = "single"

STORED, MODE = "stored", "mode"
MODE_KEY = "concurrency"
LOCK_COLUMNS = ("key", "kind", "op", "txid")

PAUSE = 0.02
BRIEFLY = 2.0
_LONGEST_PAUSE = 1.0
_IN_DOUBT = 20.0
"""So many seconds a commit that was not answered is looked into before its caller is told, or as many as a write may
wait for others."""


def clock() -> float:
    """Seconds, sleep of the machine included: only this process compares them with one another."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Raced(Contended):
    """Somebody else was first: the operation begins anew."""


class Doubtful(Unavailable):
    """The cluster does not say what became of a commit."""


class Operation:
    """One write, over all its attempts: who it is to others, and since when it has seen their claims."""

    def __init__(self, op: str, timeout: float) -> None:
        # Sorted by age, as far as clocks agree; where they do not, a younger one goes first.
        self.name = f"{now():016x} {op}"
        self.deadline = clock() + timeout
        self.patience = min(_IN_DOUBT, timeout)
        self.seen: dict[tuple[str, str], float] = {}
        self.locks: set[str] = set()
        self.races = 0

    def check_time(self) -> None:
        """`Contended` when there is no time left. States that are older than a day are pruned: no D lasts as long."""
        if clock() > self.deadline:
            raise Contended("Others keep changing what this request is about; try again.")


class Attempt(Protocol):
    """One transaction D of an operation, in the order in which it is called."""

    def read(self, d: Snapshot, locks: Collection[str], *, patient: bool) -> None:
        """Take note of what the decision will rest on. `patient`: `Raced` where others are not to be disturbed."""

    def settle_conflicts(self, d: Snapshot, locks: Collection[str]) -> None:
        """Afterwards D may be written and committed. `Raced` where the operation has to begin anew."""

    def record(self, d: Snapshot, locks: Collection[str], forgotten: Collection[str] = ()) -> None:
        """The last thing that is written in D: that it is stored. `forgotten` locks keep no state."""

    def commit(self, d: Snapshot) -> None:
        """Commit D. `Raced` where it is certain not to be stored, `Doubtful` where the cluster leaves it open."""

    def withdraw(self, d: Snapshot) -> None:
        """Let others go on, after anything was raised."""


class Concurrency(Protocol):
    """One of the ways, for all writes of a repository."""

    def turn(self, operation: Operation) -> AbstractContextManager[None]:
        """Whoever writes does it inside: from before its transaction begins to after that has ended."""

    def attempt(self, operation: Operation) -> Attempt:
        """For the next transaction of an operation."""

    def close(self) -> None:
        """No write comes any more, for now."""


def settle(operation: Operation, txid: int, error: Unavailable, look: Callable[[], bool]) -> None:
    """Find out what became of a D whose commit ended with an error: returns where it is stored.

    `look` says whether it is, or raises `Unavailable`, and is asked again then. `Raced` where D is not stored and never
    will be, `Doubtful` where nothing says so in time. Nothing else: the body would run again, perhaps on what D stored.
    """
    logger.info("the outcome of transaction %s is in doubt: %s", txid, error)
    try:
        stored = insist(look, clock() + operation.patience)
    except Unavailable as unknown:
        raise Doubtful("The database went away in the middle: look whether the change was made.") from unknown
    if not stored:
        raise Raced("the transaction was not stored") from error


def insist(ask: Callable[[], T], until: float) -> T:
    """Ask, with longer and longer pauses, as long as it raises `Unavailable`; after `until` that is raised."""
    pause = PAUSE
    while True:
        try:
            return ask()
        except Unavailable:
            if clock() > until:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def was_stored(cluster: Cluster, operation: Operation, txid: int) -> bool:
    """Whether a D that has ended is stored, which its record says."""
    record = [equal("key", end_of(operation.name, str(txid)))]
    with cluster.snapshot() as r:
        return any(row["kind"] == STORED for row in r.rows(LOCKS, LOCK_COLUMNS, record))


def lock_row(key: str, kind: str, op: str, txid: int | str) -> Row:
    """A row of the table of locks."""
    return {"key": key, "kind": kind, "op": op, "txid": str(txid), "at": now()}


def stored_row(operation: Operation, txid: int) -> Row:
    """The record that a D is stored."""
    return lock_row(end_of(operation.name, str(txid)), STORED, operation.name, txid)


def end_of(op: str, txid: str) -> str:
    """The lock under which it is kept that a claim is over, and that a transaction is stored."""
    return f"end {op} {txid}"


def agreed(rows: Iterable[Row]) -> set[Any]:
    """The ways that the database says are its own. One that was made before there were others has claims."""
    return {row["op"] for row in rows if row["kind"] == MODE} or {CLAIMS}


def check_agreed(rows: Iterable[Row], mode: str) -> None:
    """`Unavailable` unless the database has this way. `rows`: those of `MODE_KEY`, among others."""
    modes = agreed(rows)
    if modes != {mode}:
        raise Unavailable(wrong_mode(modes, mode))


def wrong_mode(modes: Iterable[str], mode: str) -> str:
    """The sentence for whoever configured it."""
    return (
        f"The database is written to with TAMS_VAST_CONCURRENCY={' and '.join(sorted(modes))}, and this process has "
        f"{mode}: write the same, or stop every server and worker and run `tams db upgrade` to change it."
    )
