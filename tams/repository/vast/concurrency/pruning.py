"""Locks that are not needed any more: what is old enough that no operation can rest on it.

States are removed under claims, like any other change of them. Ended claims and records change no more, and are removed
as they are.
"""

from __future__ import annotations

from tams.repository.vast.base import Writes
from tams.repository.vast.concurrency.claims import CLAIM, END, STATE
from tams.repository.vast.concurrency.protocol import STORED, end_of
from tams.repository.vast.connection import Cluster
from tams.repository.vast.predicates import Term, among, equal
from tams.repository.vast.tables import LOCKS

_MOST_STATES = 500
_MOST_ENDED = 2000


class LockWrites(Writes):
    """What can be done to locks."""

    forgotten: frozenset[str]
    """Locks whose states this transaction removes."""

    def forget_states(self, before: int) -> None:
        """Remove some states that are older than the moment: to everybody they are as if never written."""
        terms = [equal("kind", STATE), Term("at", "<", before)]
        rows, _ = self._view.bounded(LOCKS, (), terms, _MOST_STATES)
        self.forgotten = frozenset(row["key"] for row in rows[:_MOST_STATES])
        self._needs(*self.forgotten)


def prune_ended(cluster: Cluster, before: int) -> None:
    """Remove some claims that are over, and records of operations, from before the moment.

    A claim that is not over stays until it is taken over.
    """
    with cluster.committed() as snapshot:
        columns = ("op", "txid", "at")
        claims = snapshot.rows(LOCKS, columns, [equal("kind", CLAIM)], row_ids=True)
        ends = {end_of(row["op"], row["txid"]) for row in claims}
        over = {row["key"] for row in snapshot.rows(LOCKS, ("key",), [among("key", ends)])}
        gone = [row["$row_id"] for row in claims if row["at"] < before and end_of(row["op"], row["txid"]) in over]
        records = [among("kind", {END, STORED}), Term("at", "<", before)]
        # What says that a claim is over stays as long as the claim.
        gone += [
            row["$row_id"]
            for row in snapshot.rows(LOCKS, ("key",), records, _MOST_ENDED, row_ids=True)
            if row["key"] not in ends
        ]
        if gone:
            snapshot.delete(LOCKS, gone)
