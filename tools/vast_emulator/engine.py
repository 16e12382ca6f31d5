"""Transactions over catalogs: snapshots, own writes, conflicts, commits.

A transaction keeps the list of its operations and its own catalog, to which they are already applied. A commit applies
them again to the newest catalog and publishes the result.
"""

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from tools.vast_emulator.catalog import Catalog
from tools.vast_emulator.errors import ProtocolError, conflict, not_found
from tools.vast_emulator.operations import Operation, is_definition, kind_of, names_of, table_of
from tools.vast_emulator.runs import RowIds
from tools.vast_emulator.settings import Settings


@dataclass(slots=True, eq=False)
class Transaction:
    """A transaction. All changes to it are made under its lock."""

    id: int
    origin: int  # the connection that began it
    snapshot: Catalog
    last_used: float
    own: Catalog | None = None  # the snapshot with the operations applied; None before the first operation
    operations: list[Operation] = field(default_factory=list)
    locks: set[Hashable] = field(default_factory=set)  # names and rows that no other transaction may change
    state: str = "open"
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def catalog(self) -> Catalog:
        """Return the catalog that the transaction sees, with its own writes."""
        return self.snapshot if self.own is None else self.own


class Engine:
    """The database: the newest catalog and the open transactions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._latest = Catalog()
        self._published: deque[tuple[float, Catalog]] = deque([(float("-inf"), self._latest)])
        self._transactions: dict[int, Transaction] = {}
        # Guards the state that transactions share. A commit also holds `_committing`, from start to end.
        self._shared = threading.RLock()
        self._committing = threading.RLock()
        # Names and rows that an open transaction has changed: its id, and the kind of change.
        # `_changed` has those of committed transactions: the number of the latest commit by kind of change.
        self._holders: dict[Hashable, tuple[int, str]] = {}
        self._changed: dict[Hashable, dict[str, int]] = {}
        self._rolled_back: dict[int, Transaction] = {}
        self._ids = itertools.count(1)
        self._next_row: dict[int, int] = {}
        self._random = random.Random()

    @property
    def latest(self) -> Catalog:
        """Return the newest committed catalog."""
        return self._latest

    @property
    def open_transactions(self) -> list[int]:
        """Return the ids of the transactions that have not ended."""
        with self._shared:
            return list(self._transactions)

    def next_id(self) -> int:
        """Return an id for a schema, table, column or projection; ids ascend."""
        return next(self._ids)

    def allocate_rows(self, table_id: int, count: int) -> RowIds:
        """Return consecutive ids for new rows; they are used up even if the transaction does not commit."""
        with self._shared:
            first = self._next_row.get(table_id, 0)
            self._next_row[table_id] = first + count
        return np.arange(first, first + count, dtype=np.int64)

    def take_rows(self, table_id: int, row_ids: RowIds) -> None:
        """Reserve row ids that a client chose, so that later ids of the table are greater."""
        with self._shared:
            self._next_row[table_id] = max(self._next_row.get(table_id, 0), int(row_ids.max()) + 1)

    # Transactions.

    def begin(self, origin: int = 0) -> Transaction:
        """Start a transaction that sees what is committed now."""
        now = time.monotonic()
        with self._shared:
            self._expire(now)
            number = self._random.getrandbits(62) | 1
            transaction = Transaction(number, origin, self._visible(now), now)
            self._transactions[number] = transaction
        return transaction

    def _visible(self, now: float) -> Catalog:
        horizon = now - self._settings.visibility_delay
        while len(self._published) > 1 and self._published[1][0] <= horizon:
            self._published.popleft()
        return self._published[0][1] if self._settings.visibility_delay else self._latest

    def _expire(self, now: float) -> None:
        limit = self._settings.idle_timeout
        if limit is not None:
            for transaction in list(self._transactions.values()):
                if now - transaction.last_used > limit and transaction.state == "open":
                    self._end(transaction, "expired")

    def find(self, number: int) -> Transaction:
        """Return an open transaction.

        Raises:
            ProtocolError: 404, no open transaction has this id.
        """
        now = time.monotonic()
        with self._shared:
            self._expire(now)
            transaction = self._transactions.get(number)
            if transaction is None:
                raise not_found("NoSuchTransaction", f"no open transaction has the id {number}")
            transaction.last_used = now
        return transaction

    @contextmanager
    def statement(self, number: int) -> Iterator[Transaction]:
        """Yield the transaction of a statement, locked; 0 stands for a transaction of this statement alone."""
        transaction = self.find(number) if number else self.begin()
        try:
            with transaction.lock:
                if transaction.state != "open":
                    raise not_found("NoSuchTransaction", f"transaction {number} has ended")
                yield transaction
        except BaseException:
            if not number:
                self.expire(transaction.id)
            raise
        if not number:
            self.commit(transaction.id)

    def view(self, transaction: Transaction) -> Catalog:
        """Return the catalog that a query of this transaction reads."""
        with transaction.lock:
            if self._settings.snapshots == "read_committed" and transaction.snapshot is not self._latest:
                transaction.snapshot = self._latest
                if transaction.own is not None:
                    transaction.own = _replay(transaction.operations, transaction.snapshot)
            visible_kinds = (*self._settings.own_writes, "define")
            if all(kind_of(operation) in visible_kinds for operation in transaction.operations):
                return transaction.catalog
            operations = [op for op in transaction.operations if kind_of(op) in visible_kinds]
            return _replay(operations, transaction.snapshot)

    def rollback(self, number: int, origin: int = 0) -> None:
        """Roll back a transaction.

        Raises:
            ProtocolError: 404, the transaction has already ended; 403, the settings refuse it on this connection.
        """
        model = self._settings.rollback
        transaction = self.find(number)
        elsewhere = transaction.origin != origin
        if model == "refused_elsewhere" and elsewhere:
            raise ProtocolError(403, "AccessDenied", "the transaction was begun on another connection")
        if model == "ignored" or (model == "ignored_elsewhere" and elsewhere):
            return
        if not self.expire(number):
            raise not_found("NoSuchTransaction", f"transaction {number} was committed in the meantime")
        if self._settings.commit_after_rollback == "stored":
            self._rolled_back[number] = transaction

    def expire(self, number: int) -> bool:
        """End a transaction as if it had been idle for too long; return True if it was open."""
        with self._shared:
            transaction = self._transactions.get(number)
        if transaction is None:
            return False
        if self._end_if_open(transaction, "rolled back"):
            return True
        with self._committing:  # a commit was faster; wait for its end
            return False

    def _end_if_open(self, transaction: Transaction, state: str) -> bool:
        with self._shared:
            is_open = transaction.state == "open"
            if is_open:
                self._end(transaction, state)
        return is_open

    def _end(self, transaction: Transaction, state: str) -> None:
        transaction.state = state
        self._transactions.pop(transaction.id, None)
        for name in transaction.locks:
            if self._holders.get(name, (0, ""))[0] == transaction.id:
                del self._holders[name]
        if not self._transactions and not self._settings.visibility_delay:
            self._changed.clear()

    # Statements.

    def execute(self, transaction: Transaction, operation: Operation) -> None:
        """Execute an operation in a transaction whose lock the caller holds.

        Raises:
            ProtocolError: 409, the operation conflicts with another transaction.
        """
        model = self._settings.row_conflicts
        if is_definition(operation) or model in ("statement", "while_open"):
            self._lock_names(transaction, names_of(operation), kind_of(operation))
        own = transaction.snapshot.copy() if transaction.own is None else transaction.own
        operation.apply(own)
        transaction.own = own
        transaction.operations.append(operation)

    def _lock_names(self, transaction: Transaction, names: tuple[Hashable, ...], kind: str) -> None:
        with self._shared:
            self._expire(time.monotonic())
            if transaction.state != "open":
                raise not_found("NoSuchTransaction", "the transaction has ended")
            for name in names:
                holder, earlier_kind = self._holders.get(name, (transaction.id, ""))
                if holder != transaction.id and self._conflicts(earlier_kind, kind):
                    raise conflict("an open transaction has changed this")
                if self._was_changed(name, kind, transaction) and not (
                    kind != "define" and self._settings.row_conflicts == "while_open"
                ):
                    raise conflict("a committed transaction has changed this")
            self._holders.update(dict.fromkeys(names, (transaction.id, kind)))
            transaction.locks.update(names)

    def _was_changed(self, name: Hashable, kind: str, transaction: Transaction) -> bool:
        """Return True if a commit after the transaction's snapshot has changed `name` in a conflicting way."""
        return any(
            number > transaction.snapshot.number and self._conflicts(earlier, kind)
            for earlier, number in self._changed.get(name, {}).items()
        )

    def _conflicts(self, first: str, second: str) -> bool:
        return "define" in (first, second) or f"{first}/{second}" in self._settings.conflict_pairs

    # Commits.

    def commit(self, number: int) -> None:
        """Publish a transaction.

        Raises:
            ProtocolError: 404, the transaction has ended; 409, it conflicts with another one, and has ended now.
        """
        self._reopen(number)
        transaction = self.find(number)
        with transaction.lock:
            if not transaction.operations and self._end_if_open(transaction, "committed"):
                return
            # Taken before the state changes, so that a caller that sees the state can wait for the end.
            with self._committing:
                self._commit(transaction)

    def _reopen(self, number: int) -> None:
        with self._shared:
            transaction = self._rolled_back.pop(number, None)
            if transaction is not None:
                transaction.state, transaction.last_used = "open", time.monotonic()
                self._transactions[number] = transaction

    def _commit(self, transaction: Transaction) -> None:
        with self._shared:
            if transaction.state != "open":
                raise not_found("NoSuchTransaction", f"transaction {transaction.id} has ended")
            transaction.state = "committing"
        try:
            self._check_row_conflicts(transaction)
            steps = self._steps(transaction)
        except BaseException:
            with self._shared:
                self._end(transaction, "refused")
            raise
        for step in steps[:-1]:
            self._publish(step)
            time.sleep(self._settings.commit_gap)
        with self._shared:
            self._publish(steps[-1])
            self._record_changes(transaction)
            self._end(transaction, "committed")

    def _check_row_conflicts(self, transaction: Transaction) -> None:
        if self._settings.row_conflicts == "commit":
            for operation in transaction.operations:
                for name in () if is_definition(operation) else names_of(operation):
                    if self._was_changed(name, kind_of(operation), transaction):
                        raise conflict("a committed transaction has changed a row that this one changes")

    def _steps(self, transaction: Transaction) -> list[Catalog]:
        """Return the catalogs to publish one after the other: a single one if commits are atomic."""
        operations = transaction.operations
        if self._settings.atomic_commits:
            parts = [operations]
        else:
            parts = [list(part) for _, part in itertools.groupby(_by_table(operations), key=table_of)]
        if len(parts) == 1 and transaction.own is not None and transaction.snapshot is self._latest:
            return [self._finished(transaction.own, operations)]
        steps, base = [], self._latest
        for part in parts:
            base = self._finished(_replay(part, base), part)
            steps.append(base)
        return steps

    def _finished(self, catalog: Catalog, operations: list[Operation]) -> Catalog:
        """Return the catalog as it is published: its changed tables compacted."""
        for table_id in {table_of(operation) for operation in operations}:
            table = None if table_id is None else catalog.tables.get(table_id)
            if table is not None:
                catalog.put_table(table.compact())
        return catalog

    def _publish(self, catalog: Catalog) -> None:
        catalog.number = self._latest.number + 1
        self._latest = catalog
        if self._settings.visibility_delay:
            self._published.append((time.monotonic(), catalog))
        else:
            self._published = deque([(float("-inf"), catalog)])

    def _record_changes(self, transaction: Transaction) -> None:
        # A transaction cannot conflict with what was committed before it began.
        if len(self._transactions) > 1 or self._settings.visibility_delay:
            for operation in transaction.operations:
                for name in names_of(operation):
                    self._changed.setdefault(name, {})[kind_of(operation)] = self._latest.number
            oldest = min(other.snapshot.number for other in self._transactions.values())
            if len(self._changed) > 100_000:
                self._changed = {name: kinds for name, kinds in self._changed.items() if max(kinds.values()) > oldest}

    def restore(self, catalog: Catalog) -> None:
        """Publish an earlier catalog again, and end all transactions."""
        with self._committing, self._shared:
            for transaction in list(self._transactions.values()):
                self._end(transaction, "rolled back")
            self._changed.clear()
            self._publish(catalog.copy())
            self._published = deque([(float("-inf"), self._latest)])

    def change(self, *operations: Operation) -> None:
        """Commit operations outside of all transactions, without conflict checks."""
        with self._committing, self._shared:
            catalog = self._latest.copy()
            for operation in operations:
                operation.apply(catalog)
            self._publish(self._finished(catalog, list(operations)))


def _replay(operations: list[Operation], base: Catalog) -> Catalog:
    catalog = base.copy()
    for operation in operations:
        operation.apply(catalog)
    return catalog


def _by_table(operations: list[Operation]) -> list[Operation]:
    """Return definitions first, then the changes of rows table by table."""
    return sorted(operations, key=lambda operation: table_of(operation) or 0)
