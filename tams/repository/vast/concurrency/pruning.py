"""Removal of rows of locks that are so old that no operation can rest on them.

States are removed under claims, like any other change of a state. Ended claims and records do not change any more, so
they are removed without claims.
"""

from __future__ import annotations

from tams.repository.vast.base import WritePart
from tams.repository.vast.cluster_transaction import ROW_ID
from tams.repository.vast.concurrency.claims import CLAIM, END, STATE
from tams.repository.vast.concurrency.lock_rows import STORED, end_key
from tams.repository.vast.connection import Cluster
from tams.repository.vast.predicates import Predicate, among, equal
from tams.repository.vast.tables import LOCKS

_MAX_STATES = 500
_MAX_RECORDS = 2000


class LockWrites(WritePart):
    """Removal of states, as a write of a transaction."""

    forgotten: frozenset[str]
    """The locks whose states this transaction removes."""

    def forget_states(self, before: int) -> None:
        """Remove some states older than `before` (microseconds). To others they look as if never written."""
        predicates = [equal("kind", STATE), Predicate("at", "<", before)]
        rows, _ = self._view.bounded(LOCKS, (), predicates, _MAX_STATES)
        self.forgotten = frozenset(row["key"] for row in rows[:_MAX_STATES])
        self._require(*self.forgotten)


def prune_ended(cluster: Cluster, before: int) -> None:
    """Remove some ended claims, and some records of operations, older than `before` (microseconds).

    A claim that has not ended stays until it is taken over.
    """
    with cluster.committed() as transaction:
        columns = ("op", "txid", "at")
        claims = transaction.rows(LOCKS, columns, [equal("kind", CLAIM)], row_ids=True)
        end_keys = {end_key(row["op"], row["txid"]) for row in claims}
        ended = {row["key"] for row in transaction.rows(LOCKS, ("key",), [among("key", end_keys)])}
        row_ids = [row[ROW_ID] for row in claims if row["at"] < before and end_key(row["op"], row["txid"]) in ended]
        predicates = [among("kind", {END, STORED}), Predicate("at", "<", before)]
        # The row that says that a claim has ended stays as long as the claim.
        row_ids += [
            row[ROW_ID]
            for row in transaction.rows(LOCKS, ("key",), predicates, _MAX_RECORDS, row_ids=True)
            if row["key"] not in end_keys
        ]
        if row_ids:
            transaction.delete(LOCKS, row_ids)
