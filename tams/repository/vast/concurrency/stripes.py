"""The stripe protocol: transactions conflict on rows that exist for this purpose.

It is for clusters that detect when two transactions change the same row, and cannot end a transaction of another
session. The protocol needs three things from the cluster: a commit makes all its tables visible at once; a transaction
reads one snapshot; and of two transactions that update the same row, each without having seen the other's commit, at
most one is committed. The other may be refused (409) at its statement or at its commit. A transaction that was refused
at its commit is never stored.

Each write is one transaction D. Each lock of what its decision rests on falls on one of the stripes:

1. D begins, and everything that the decision needs is read in it.
2. The stripes of all locks are updated in D, in one request and in a fixed order. On 409 D begins again.
3. All writes of D are sent, with a record that D is stored. Then D is committed. On 409 D begins again.
4. If the outcome of that commit is in doubt, a new transaction T looks for the record. If it exists, D is stored.
   Otherwise T updates the same stripes and is committed. Once that commit is acknowledged, D is not stored and never
   will be. After any other outcome of T, another T does the same.

Of two D with a common lock, either one has seen the other's commit, or only one is stored. So every decision is
current.

Why step 4 is right: T reads no record of D. So T has not seen the commit of D, because a commit makes all its rows
visible at once. D has not seen the commit of T, because D began earlier. Both update the same rows, so at most one of
them is committed. If T is committed, a commit of D that is still on its way gets 409. If D is committed, T gets 409,
and the next T finds the record. A T that was not answered may be committed late as well. It changes only the stripes,
so all that it can do is to make another operation begin again. It proves nothing, so another T has to be acknowledged.
It never matters how soon an acknowledged commit is visible: a transaction that has not seen it conflicts with it.

D is rolled back as well, but only to release its rows: nothing rests on the answer. If the cluster reports conflicts at
the statement, a D that cannot be ended holds its stripes until the idle timeout of the cluster. Until then operations
that need these stripes wait, or fail with 503.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

from typing_extensions import override

from tams.domain.errors import Unavailable
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.concurrency.interface import Attempt, Concurrency
from tams.repository.vast.concurrency.lock_rows import LOCK_COLUMNS, STORED, end_key, lock_row, stored_record
from tams.repository.vast.concurrency.modes import MODE_KEY, STRIPES, check_mode
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.concurrency.outcome import settle_outcome
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import LostRace
from tams.repository.vast.predicates import among
from tams.repository.vast.tables import LOCKS, Row

STRIPE = "stripe"
STRIPE_COUNT = 4096
"""Of two unrelated locks, one pair in this many shares a stripe, so that one waits for the other."""


def stripe_of(lock: str) -> str:
    """Return the key of the stripe that a lock falls on. It is the same in every process."""
    digest = hashlib.blake2b(lock.encode(), digest_size=8).digest()
    return _stripe_key(int.from_bytes(digest) % STRIPE_COUNT)


def missing_stripes(existing_keys: Collection[str]) -> list[Row]:
    """Return the rows of the stripes whose keys do not exist yet.

    A stripe that is stored twice does no harm. Both rows are updated, and commits have an order. So of two transactions
    that see any of the rows, both see the row that was committed first.
    """
    keys = map(_stripe_key, range(STRIPE_COUNT))
    return [lock_row(key, STRIPE, "", 0) for key in keys if key not in existing_keys]


def _stripe_key(number: int) -> str:
    return f"stripe {number}"


class Stripes(Concurrency):
    """The stripe protocol, for all writes of a repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @override
    def turn(self, _operation: Operation) -> AbstractContextManager[None]:
        # Writes of one process may run at the same time.
        return nullcontext()

    @override
    def attempt(self, operation: Operation) -> StripeAttempt:
        return StripeAttempt(self._cluster, operation)

    @override
    def close(self) -> None:
        pass


class StripeAttempt(Attempt):
    """One transaction D of an operation, under the stripe protocol."""

    def __init__(self, cluster: Cluster, operation: Operation) -> None:
        self._cluster = cluster
        self._operation = operation
        self._stripes: frozenset[str] = frozenset()

    @override
    def read(self, d: ClusterTransaction, locks: Collection[str], *, patient: bool) -> None:
        # Nothing to read: D has one snapshot, and operations that are under way are invisible.
        pass

    @override
    def settle_conflicts(self, d: ClusterTransaction, locks: Collection[str]) -> None:
        # Step 2.
        self._operation.check_time()
        # A decision that rests on nothing still needs a stripe, so that the outcome of its commit can be settled.
        self._stripes = frozenset(map(stripe_of, locks or {f"operation {self._operation.name}"}))
        rows = d.rows(LOCKS, LOCK_COLUMNS, [among("key", self._stripes | {MODE_KEY})], row_ids=True)
        check_mode(rows, STRIPES)
        self._update_stripes(d, rows)

    @override
    def record(self, d: ClusterTransaction, _locks: Collection[str], _forgotten: Collection[str] = ()) -> None:
        d.insert(LOCKS, [stored_record(self._operation, d.txid)])

    @override
    def commit(self, d: ClusterTransaction) -> None:
        # Step 3.
        try:
            d.commit()
        except LostRace:
            # 409: D is never stored.
            raise
        except Unavailable as error:
            d.roll_back()
            settle_outcome(self._operation, d.txid, error, lambda: self._is_stored(d.txid))

    @override
    def withdraw(self, d: ClusterTransaction) -> None:
        # This releases the stripes if the cluster gets it.
        d.roll_back()

    def _update_stripes(self, transaction: ClusterTransaction, rows: list[Row]) -> None:
        stripes = [row for row in rows if row["kind"] == STRIPE]
        if {row["key"] for row in stripes} != self._stripes:
            raise Unavailable("The database lacks the stripes of TAMS_VAST_CONCURRENCY=stripes: run `tams db upgrade`.")
        stripes.sort(key=lambda row: (row["key"], row[ROW_ID]))
        name = self._operation.name
        transaction.update(
            LOCKS, [(row[ROW_ID], lock_row(row["key"], STRIPE, name, transaction.txid)) for row in stripes]
        )

    def _is_stored(self, txid: int) -> bool:
        """Return whether D is stored, by one transaction T of step 4."""
        record = end_key(self._operation.name, str(txid))
        t = self._cluster.begin()
        try:
            rows = t.rows(LOCKS, LOCK_COLUMNS, [among("key", self._stripes | {record})], row_ids=True)
            stored = any(row["kind"] == STORED for row in rows)
            if not stored:
                self._update_stripes(t, rows)
                t.commit()
        except BaseException:
            t.roll_back()
            raise
        if stored:
            t.roll_back()
        return stored
