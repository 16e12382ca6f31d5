"""The claim protocol: transactions that rest on the same things take effect one after the other.

The cluster is not asked to see conflicts. What it has to do: commit all tables at once, show a transaction everything
whose commit was acknowledged before it began, and end a transaction by its id for good, whoever asks.

Each write is one transaction D, named by its id, and the locks of everything that its decision rests on:

1. D begins. The state of each lock (the last operation that changed what it stands for) is read in it, and then
   everything else that the decision needs.
2. In a transaction of its own one claim for each lock is stored and committed, with the id of D.
3. A new transaction V looks at the locks. Where a state is another than D saw, D begins anew. Where another claim is
   alive, the younger operation withdraws its own and the older one looks again.
4. All writes of D are sent, with the new states and a record that D is stored, and D is committed.
5. Where the outcome of that commit is in doubt, D is rolled back until the cluster says that it has ended; only then
   the record is looked for: there, it is stored; not there, it never will be.
6. A claim that stays for too long is taken over: its D is rolled back, until it has ended, and the claim is ended.

Of two with a common lock that both passed V, the claims of one were committed before the V of the other began, which
would have seen it. Only one D of an operation can be committed, because each is ended before the next one begins.
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

from tams.domain.errors import Unavailable
from tams.repository.vast.concurrency.protocol import (
    BRIEFLY,
    CLAIMS,
    LOCK_COLUMNS,
    MODE_KEY,
    PAUSE,
    Operation,
    Raced,
    check_agreed,
    clock,
    end_of,
    insist,
    lock_row,
    settle,
    stored_row,
    was_stored,
)
from tams.repository.vast.connection import Cluster, Snapshot
from tams.repository.vast.failures import Broken
from tams.repository.vast.predicates import among
from tams.repository.vast.tables import LOCKS, Row

logger = logging.getLogger(__name__)

STATE, CLAIM, END = "state", "claim", "end"
_MOST_SPENT = 4000
_POLITE = 5
"""So often an operation lets younger ones finish, whose work would be lost, before it insists on its age."""


class Spent:
    """Claims of this process that are over: they are removed together with the next ones that are made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._row_ids: deque[Any] = deque()
        self._names: deque[tuple[str, str]] = deque(maxlen=_MOST_SPENT)

    def give(self, row_ids: Iterable[Any], name: tuple[str, str] | None = None) -> None:
        """These are over: `name` is their operation and transaction."""
        with self._lock:
            self._row_ids.extend(row_ids)
            if name is not None:
                self._names.append(name)

    def among(self, claims: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of the claims that are known to be over."""
        with self._lock:
            return set(claims).intersection(self._names)

    def take(self) -> list[Any]:
        """Some that are over."""
        with self._lock:
            return [self._row_ids.popleft() for _ in range(min(_MOST_SPENT, len(self._row_ids)))]


class Claims:
    """This way, for all writes of a repository."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._spent = Spent()

    def turn(self, _operation: Operation) -> AbstractContextManager[None]:
        """Writes need not wait for each other."""
        return nullcontext()

    def attempt(self, operation: Operation) -> ClaimAttempt:
        """For the next transaction of an operation."""
        return ClaimAttempt(self._cluster, operation, self._spent)

    def close(self) -> None:
        """Nothing is held."""


class ClaimAttempt:
    """One D of an operation. See `concurrency.Attempt`."""

    def __init__(self, cluster: Cluster, operation: Operation, spent: Spent) -> None:
        self._cluster = cluster
        self._operation = operation
        self._spent = spent
        self._states: dict[str, tuple[str, Any]] = {}
        self._read: set[str] = set()
        self._claims: list[Any] = []
        self._claimed = False

    def read(self, d: Snapshot, locks: Collection[str], *, patient: bool) -> None:
        """Read the states of locks in D. `patient`: `Raced` at once where others are not to be disturbed."""
        unread = set(locks) - self._read
        if not unread:
            return
        rows = d.rows(LOCKS, LOCK_COLUMNS, [among("key", unread | {MODE_KEY})], row_ids=True)
        check_agreed(rows, CLAIMS)
        self._read |= unread
        for row in rows:
            if row["kind"] == STATE:
                self._states[row["key"]] = (row["op"], row["$row_id"])
        if patient:
            # Of what ended a moment ago in this process nobody has to be asked. Only here, where it is a courtesy: a
            # look has to see what it concludes from.
            known = {(row["op"], row["txid"]) for row in rows if row["kind"] == CLAIM}
            over = self._spent.among(known)
            others = self._alive(d, [row for row in rows if (row["op"], row["txid"]) not in over], "")
            polite = self._operation.races < _POLITE
            if any(polite or claim[0] < self._operation.name for claim in others - self._expired(others)):
                raise Raced("another operation is under way")

    def settle_conflicts(self, d: Snapshot, locks: Collection[str]) -> None:
        """Steps 2 and 3: afterwards D may be committed. `Raced` where the operation has to begin anew."""
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
                raise Raced("an older operation is under way")
            if not expired:
                time.sleep(random.uniform(PAUSE, 2 * PAUSE))  # noqa: S311 - no secret

    def record(self, d: Snapshot, locks: Collection[str], forgotten: Collection[str] = ()) -> None:
        """Step 4, after all other writes: the new states, and that D is stored. `forgotten` locks keep no state."""
        changed, added = [], [stored_row(self._operation, d.txid)]
        gone = [self._states[lock][1] for lock in forgotten if lock in self._states]
        if gone:
            d.delete(LOCKS, gone)
        for lock in sorted(set(locks) - set(forgotten)):
            row = lock_row(lock, STATE, self._operation.name, d.txid)
            if lock in self._states:
                changed.append((self._states[lock][1], row))
            else:
                added.append(row)
        if changed:
            d.update(LOCKS, changed)
        d.insert(LOCKS, added)

    def commit(self, d: Snapshot) -> None:
        """Commit D. `Raced` where it is certain not to be stored, `Doubtful` where the cluster leaves it open."""
        try:
            d.commit()
        except Unavailable as error:
            settle(self._operation, d.txid, error, lambda: self._was_stored(d.txid))
        self._spent.give(self._claims, (self._operation.name, str(d.txid)))
        self._claims = []

    def withdraw(self, d: Snapshot) -> None:
        """Let others go on. D is rolled back first; where that or the rest fails, they will take the claims over."""
        if not self._claimed:
            d.roll_back()
            return
        try:
            self._end_transaction(d.txid, clock() + BRIEFLY)
            self._end((self._operation.name, str(d.txid)))
            self._spent.give(self._claims)
        except Unavailable as error:
            logger.warning("the claims of transaction %s are left to be taken over: %s", d.txid, error)

    def _claim(self, txid: str, locks: Collection[str]) -> None:
        spent = self._spent.take()
        try:
            with self._cluster.committed() as c:
                # From here on a claim may turn up, even if the cluster does not say so.
                self._claimed = True
                made = c.insert(LOCKS, [lock_row(lock, CLAIM, self._operation.name, txid) for lock in sorted(locks)])
                if spent:
                    c.delete(LOCKS, spent)
        except Unavailable:
            self._spent.give(spent)
            raise
        self._claims = made

    def _look(self, txid: str, locks: Collection[str]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Claims of others that are alive, and those of them that may be taken over. `Raced` where a state changed."""
        with self._cluster.snapshot() as v:
            rows = v.rows(LOCKS, LOCK_COLUMNS, [among("key", locks)])
            states = {row["key"]: row["op"] for row in rows if row["kind"] == STATE}
            if states != {lock: self._states[lock][0] for lock in locks if lock in self._states}:
                raise Raced("somebody else was first")
            mine = (self._operation.name, txid)
            if not any(row["kind"] == CLAIM and (row["op"], row["txid"]) == mine for row in rows):
                # Others took it over, or V does not see what was committed before it began: go no further.
                raise Raced("the claim is not there")
            others = self._alive(v, rows, txid)
            return others, self._expired(others)

    def _alive(self, snapshot: Snapshot, rows: list[Row], txid: str) -> set[tuple[str, str]]:
        """The claims of others among the rows that nothing says are over."""
        others = {(row["op"], row["txid"]) for row in rows if row["kind"] == CLAIM} - {(self._operation.name, txid)}
        if not others:
            return set()
        ends = [among("key", {end_of(*each) for each in others})]
        ended = {row["key"] for row in snapshot.rows(LOCKS, ("key",), ends)}
        alive = {each for each in others if end_of(*each) not in ended}
        moment = clock()
        for each in alive:
            self._operation.seen.setdefault(each, moment)
        return alive

    def _expired(self, claims: set[tuple[str, str]]) -> set[tuple[str, str]]:
        latest = clock() - self._cluster.address.claim_timeout
        return {each for each in claims if self._operation.seen[each] < latest}

    def _take_over(self, claim: tuple[str, str]) -> None:
        logger.warning("operation %s is taken over: it has not moved for too long", claim[0])
        self._end_transaction(int(claim[1]), clock() + BRIEFLY)
        self._end(claim)

    def _end(self, claim: tuple[str, str]) -> None:
        """Record that a claim is over. Its D has ended."""
        with self._cluster.committed() as e:
            e.insert(LOCKS, [lock_row(end_of(*claim), END, claim[0], claim[1])])

    def _was_stored(self, txid: int) -> bool:
        """Step 5."""
        self._check_ended(txid)
        return was_stored(self._cluster, self._operation, txid)

    def _end_transaction(self, txid: int, until: float) -> None:
        """Roll a transaction back until the cluster says that it has ended. `Broken` where it does not say so."""
        insist(lambda: self._check_ended(txid), until)

    def _check_ended(self, txid: int) -> None:
        if not self._cluster.roll_back(txid):
            raise Broken(f"The database does not say that transaction {txid} has ended.")
