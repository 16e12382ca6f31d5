"""The claim protocol: transactions that rest on the same things take effect one after the other.

The protocol does not need the cluster to detect conflicts. It needs three things: a commit makes all its tables visible
at once; a transaction sees everything whose commit was acknowledged before it began; and a transaction can be ended by
its id for good, from any session.

Each write is one transaction D, named by its id, and the locks of everything that its decision rests on:

1. D begins. The state of each lock is read in it: the last operation that changed what the lock stands for. Then
   everything else that the decision needs is read.
2. In a separate transaction, one claim per lock is stored and committed. It names the id of D.
3. A new transaction V reads the locks. If a state differs from what D read, D begins again. If another claim is alive,
   the younger operation withdraws its own claim, and the older one repeats V.
4. All writes of D are sent, with the new states and a record that D is stored. Then D is committed.
5. If the outcome of that commit is in doubt, D is rolled back until the cluster says that it has ended. Only then the
   record is looked up. If it exists, D is stored. If not, D never will be.
6. A claim that stays for too long is taken over: its D is rolled back until it has ended, and the claim is ended.

Suppose that two operations with a common lock both passed V. The claims of one were committed before the V of the other
began, so that V would have seen them. Of one operation only one D can be committed, because each D is ended before the
next one begins.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from typing_extensions import override

from tams.domain.errors import Unavailable
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.concurrency.clock import boot_clock
from tams.repository.vast.concurrency.interface import Attempt, Concurrency
from tams.repository.vast.concurrency.lock_rows import LOCK_COLUMNS, end_key, lock_row, stored_record
from tams.repository.vast.concurrency.modes import CLAIMS, MODE_KEY, check_mode
from tams.repository.vast.concurrency.operation import Operation
from tams.repository.vast.concurrency.outcome import has_record, settle_outcome
from tams.repository.vast.concurrency.retries import BRIEFLY, PAUSE, retry_until
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import Broken, LostRace
from tams.repository.vast.predicates import among
from tams.repository.vast.tables import LOCKS, Row

logger = logging.getLogger(__name__)

STATE, CLAIM, END = "state", "claim", "end"
_MAX_ENDED = 4000
_POLITE_RACES = 5
"""Lost races after which an operation insists on its age. Until then it lets younger operations finish, whose work
would be lost."""


class EndedClaims:
    """Claims of this process that have ended. Their rows are deleted together with the next claims that are stored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._row_ids: deque[Any] = deque()
        self._names: deque[tuple[str, str]] = deque(maxlen=_MAX_ENDED)

    def add(self, row_ids: Iterable[Any], name: tuple[str, str] | None = None) -> None:
        """Add rows of ended claims. `name` is their operation and transaction."""
        with self._lock:
            self._row_ids.extend(row_ids)
            if name is not None:
                self._names.append(name)

    def among(self, claims: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of the claims that are known to have ended."""
        with self._lock:
            return set(claims).intersection(self._names)

    def take(self) -> list[Any]:
        """Remove and return the row ids of some ended claims."""
        with self._lock:
            return [self._row_ids.popleft() for _ in range(min(_MAX_ENDED, len(self._row_ids)))]


class Claims(Concurrency):
    """The claim protocol, for all writes of a repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._ended = EndedClaims()

    @override
    def turn(self, _operation: Operation) -> AbstractContextManager[None]:
        # Writes of one process may run at the same time.
        return nullcontext()

    @override
    def attempt(self, operation: Operation) -> ClaimAttempt:
        return ClaimAttempt(self._cluster, operation, self._ended)

    @override
    def close(self) -> None:
        pass


class ClaimAttempt(Attempt):
    """One transaction D of an operation, under the claim protocol."""

    def __init__(self, cluster: Cluster, operation: Operation, ended: EndedClaims) -> None:
        self._cluster = cluster
        self._operation = operation
        self._ended = ended
        self._states: dict[str, tuple[str, Any]] = {}
        self._read: set[str] = set()
        self._claims: list[Any] = []
        self._claimed = False

    @override
    def read(self, d: ClusterTransaction, locks: Collection[str], *, patient: bool) -> None:
        unread = set(locks) - self._read
        if not unread:
            return
        rows = d.rows(LOCKS, LOCK_COLUMNS, [among("key", unread | {MODE_KEY})], row_ids=True)
        check_mode(rows, CLAIMS)
        self._read |= unread
        for row in rows:
            if row["kind"] == STATE:
                self._states[row["key"]] = (row["op"], row[ROW_ID])
        if patient:
            # Claims of this process that ended a moment ago need no query. That holds only here, where waiting is a
            # courtesy: V has to see in the cluster what it concludes from.
            claims = {(row["op"], row["txid"]) for row in rows if row["kind"] == CLAIM}
            ended = self._ended.among(claims)
            others = self._alive(d, [row for row in rows if (row["op"], row["txid"]) not in ended], "")
            polite = self._operation.races < _POLITE_RACES
            if any(polite or claim[0] < self._operation.name for claim in others - self._expired(others)):
                raise LostRace("another operation is under way")

    @override
    def settle_conflicts(self, d: ClusterTransaction, locks: Collection[str]) -> None:
        # Steps 2 and 3.
        if not locks:
            return
        self.read(d, locks, patient=False)
        self._claim(str(d.txid), locks)
        while True:
            self._operation.check_time()
            others, expired = self._look(str(d.txid), locks)
            self._operation.check_time()
            for claim in expired:
                self._take_over(claim)
            if not others:
                return
            if any(claim[0] < self._operation.name for claim in others - expired):
                raise LostRace("an older operation is under way")
            if not expired:
                time.sleep(random.uniform(PAUSE, 2 * PAUSE))  # noqa: S311 - no secret

    @override
    def record(self, d: ClusterTransaction, locks: Collection[str], forgotten: Collection[str] = ()) -> None:
        # Step 4: the new states too.
        changed, added = [], [stored_record(self._operation, d.txid)]
        removed = [self._states[lock][1] for lock in forgotten if lock in self._states]
        if removed:
            d.delete(LOCKS, removed)
        for lock in sorted(set(locks) - set(forgotten)):
            row = lock_row(lock, STATE, self._operation.name, d.txid)
            if lock in self._states:
                changed.append((self._states[lock][1], row))
            else:
                added.append(row)
        if changed:
            d.update(LOCKS, changed)
        d.insert(LOCKS, added)

    @override
    def commit(self, d: ClusterTransaction) -> None:
        try:
            d.commit()
        except Unavailable as error:
            settle_outcome(self._operation, d.txid, error, lambda: self._is_stored(d.txid))
        self._ended.add(self._claims, (self._operation.name, str(d.txid)))
        self._claims = []

    @override
    def withdraw(self, d: ClusterTransaction) -> None:
        # D is rolled back first. If that or the rest fails, other operations will take the claims over.
        if not self._claimed:
            d.roll_back()
            return
        try:
            self._end_transaction(d.txid, boot_clock() + BRIEFLY)
            self._end((self._operation.name, str(d.txid)))
            self._ended.add(self._claims)
        except Unavailable as error:
            logger.warning("the claims of transaction %s are left to be taken over: %s", d.txid, error)

    def _claim(self, txid: str, locks: Collection[str]) -> None:
        ended = self._ended.take()
        try:
            with self._cluster.committed() as c:
                # From here on a claim may exist, even if the cluster reports a failure.
                self._claimed = True
                row_ids = c.insert(LOCKS, [lock_row(lock, CLAIM, self._operation.name, txid) for lock in sorted(locks)])
                if ended:
                    c.delete(LOCKS, ended)
        except Unavailable:
            self._ended.add(ended)
            raise
        self._claims = row_ids

    def _look(self, txid: str, locks: Collection[str]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Return the live claims of others, and those of them that may be taken over.

        Raises:
            LostRace: a state changed, or this claim is not there.
        """
        with self._cluster.snapshot() as v:
            rows = v.rows(LOCKS, LOCK_COLUMNS, [among("key", locks)])
            states = {row["key"]: row["op"] for row in rows if row["kind"] == STATE}
            if states != {lock: self._states[lock][0] for lock in locks if lock in self._states}:
                raise LostRace("another operation was first")
            own = (self._operation.name, txid)
            if not any(row["kind"] == CLAIM and (row["op"], row["txid"]) == own for row in rows):
                # It was taken over, or V does not see what was committed before V began: do not continue.
                raise LostRace("the claim is not there")
            others = self._alive(v, rows, txid)
            return others, self._expired(others)

    def _alive(self, snapshot: ClusterTransaction, rows: list[Row], txid: str) -> set[tuple[str, str]]:
        """Return the claims of others among the rows for which there is no row that says they have ended."""
        others = {(row["op"], row["txid"]) for row in rows if row["kind"] == CLAIM} - {(self._operation.name, txid)}
        if not others:
            return set()
        ends = [among("key", {end_key(*claim) for claim in others})]
        ended = {row["key"] for row in snapshot.rows(LOCKS, ("key",), ends)}
        alive = {claim for claim in others if end_key(*claim) not in ended}
        moment = boot_clock()
        for claim in alive:
            self._operation.seen.setdefault(claim, moment)
        return alive

    def _expired(self, claims: set[tuple[str, str]]) -> set[tuple[str, str]]:
        latest = boot_clock() - self._cluster.address.claim_timeout
        return {claim for claim in claims if self._operation.seen[claim] < latest}

    def _take_over(self, claim: tuple[str, str]) -> None:
        logger.warning("the claim of operation %s is taken over: its process has not responded for too long", claim[0])
        self._end_transaction(int(claim[1]), boot_clock() + BRIEFLY)
        self._end(claim)

    def _end(self, claim: tuple[str, str]) -> None:
        """Store that a claim has ended. Its D must have ended."""
        with self._cluster.committed() as e:
            e.insert(LOCKS, [lock_row(end_key(*claim), END, claim[0], claim[1])])

    def _is_stored(self, txid: int) -> bool:
        """Return whether D is stored: step 5."""
        self._check_ended(txid)
        return has_record(self._cluster, self._operation, txid)

    def _end_transaction(self, txid: int, deadline: float) -> None:
        """Roll a transaction back until the cluster says that it has ended; raise `Broken` after the deadline."""
        retry_until(deadline, lambda: self._check_ended(txid))

    def _check_ended(self, txid: int) -> None:
        if not self._cluster.roll_back(txid):
            raise Broken(f"The database does not say that transaction {txid} has ended.")
