"""The stripes: rows that are there for transactions to collide on.

For clusters that see it when two transactions change the same row, and cannot end a transaction of another session.
What such a cluster has to do: commit all tables at once, show a transaction one moment, and of two transactions that
update the same row, each without having seen the other's commit, commit one at most. Whether the other is told so (409)
at its statement or at its commit makes no difference. What was told so at its commit is never stored.

Each write is one transaction D, and each lock of what its decision rests on falls on one of the stripes:

1. D begins, and everything that the decision needs is read in it.
2. The stripes of all locks are updated in D, in one request and one order. 409: D begins anew.
3. All writes of D are sent, with a record that D is stored, and D is committed. 409: D begins anew.
4. Where the outcome of that commit is in doubt, a new transaction T looks for the record. Where it is there, D is
   stored. Otherwise T updates the same stripes and is committed. Once that is acknowledged, D is not stored and never
   will be. Whatever else becomes of T, a next T does the same.

Of two D with a common lock, one has seen the other's commit or only one is stored, so every decision is current.

Why 4 is right: T reads no record of D, so T has not seen D's commit, because a commit makes all its rows visible at
once; and D, which began earlier, has not seen T's. Both update the same rows, so one of them is committed at most. If T
is, a commit of D that is still on its way comes to 409. If D is, T comes to 409, and the next T finds the record. A T
that was not answered may be committed late as well. It changes nothing but the stripes, so all that it can do is to
make somebody begin anew; it proves nothing, and therefore another T has to be acknowledged. Nowhere does it matter how
soon an acknowledged commit is visible: who has not seen it collides with it.

D is rolled back as far as the cluster hears that, only so that its rows are let go of: nothing rests on the answer.
Where the cluster tells of conflicts at the statement, a D that nobody can end holds its stripes until it has been idle
for as long as the cluster allows, and whoever needs them waits, or is told 503.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

from tams.domain.errors import Unavailable
from tams.repository.vast.concurrency.protocol import (
    LOCK_COLUMNS,
    MODE_KEY,
    STORED,
    STRIPES,
    Operation,
    Raced,
    check_agreed,
    end_of,
    lock_row,
    settle,
    stored_row,
)
from tams.repository.vast.connection import ROW_ID, Cluster, Snapshot
from tams.repository.vast.failures import Collided
from tams.repository.vast.predicates import among
from tams.repository.vast.tables import LOCKS, Row

STRIPE = "stripe"
COUNT = 4096
"""Of two locks that have nothing to do with each other, one pair in so many waits for the other one's sake."""


def stripe_of(lock: str) -> str:
    """The key of the stripe that a lock falls on, the same in every process."""
    digest = hashlib.blake2b(lock.encode(), digest_size=8).digest()
    return _key(int.from_bytes(digest) % COUNT)


def new_stripes(there: Collection[str]) -> list[Row]:
    """The rows that have to be made once, apart from those whose keys are there.

    One that is there twice does no harm: both are updated, and commits have an order, so of two transactions that see
    any, both see the one that was committed first.
    """
    return [lock_row(key, STRIPE, "", 0) for key in map(_key, range(COUNT)) if key not in there]


def _key(number: int) -> str:
    return f"stripe {number}"


class Stripes:
    """This way, for all writes of a repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def turn(self, _operation: Operation) -> AbstractContextManager[None]:
        """Writes need not wait for each other."""
        return nullcontext()

    def attempt(self, operation: Operation) -> StripedAttempt:
        """For the next transaction of an operation."""
        return StripedAttempt(self._cluster, operation)

    def close(self) -> None:
        """Nothing is held."""


class StripedAttempt:
    """One D of an operation. See `concurrency.Attempt`."""

    def __init__(self, cluster: Cluster, operation: Operation) -> None:
        self._cluster = cluster
        self._operation = operation
        self._stripes: frozenset[str] = frozenset()

    def read(self, d: Snapshot, locks: Collection[str], *, patient: bool) -> None:
        """Nothing: what D sees is of one moment, and nobody who is under way can be seen."""

    def settle_conflicts(self, d: Snapshot, locks: Collection[str]) -> None:
        """Step 2."""
        self._operation.check_time()
        # What rests on nothing still needs a stripe that its outcome can be settled on.
        self._stripes = frozenset(map(stripe_of, locks or {f"operation {self._operation.name}"}))
        rows = d.rows(LOCKS, LOCK_COLUMNS, [among("key", self._stripes | {MODE_KEY})], row_ids=True)
        check_agreed(rows, STRIPES)
        self._take(d, rows)

    def record(self, d: Snapshot, _locks: Collection[str], _forgotten: Collection[str] = ()) -> None:
        """That D is stored."""
        d.insert(LOCKS, [stored_row(self._operation, d.txid)])

    def commit(self, d: Snapshot) -> None:
        """Step 3."""
        try:
            d.commit()
        except Collided as error:
            raise Raced("somebody else was first") from error
        except Unavailable as error:
            d.roll_back()
            settle(self._operation, d.txid, error, lambda: self._was_stored(d.txid))

    def withdraw(self, d: Snapshot) -> None:
        """Let go of the stripes, as far as the cluster hears it."""
        d.roll_back()

    def _take(self, transaction: Snapshot, rows: list[Row]) -> None:
        stripes = [row for row in rows if row["kind"] == STRIPE]
        if {row["key"] for row in stripes} != self._stripes:
            raise Unavailable("The database lacks the stripes of TAMS_VAST_CONCURRENCY=stripes: run `tams db upgrade`.")
        stripes.sort(key=lambda row: (row["key"], row[ROW_ID]))
        name = self._operation.name
        transaction.update(
            LOCKS, [(row[ROW_ID], lock_row(row["key"], STRIPE, name, transaction.txid)) for row in stripes]
        )

    def _was_stored(self, txid: int) -> bool:
        """Step 4, one T."""
        record = end_of(self._operation.name, str(txid))
        t = self._cluster.begin()
        try:
            rows = t.rows(LOCKS, LOCK_COLUMNS, [among("key", self._stripes | {record})], row_ids=True)
            stored = any(row["kind"] == STORED for row in rows)
            if not stored:
                self._take(t, rows)
                t.commit()
        except BaseException:
            t.roll_back()
            raise
        if stored:
            t.roll_back()
        return stored
