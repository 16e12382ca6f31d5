"""The interface of the three ways to keep concurrent writes apart."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from tams.repository.vast.cluster_transaction import ClusterTransaction
from tams.repository.vast.concurrency.operation import Operation


class Attempt(Protocol):
    """One transaction D of an operation. The methods are called in this order."""

    def read(self, d: ClusterTransaction, locks: Collection[str], *, patient: bool) -> None:
        """Read in D the states of the locks that the decision will rest on.

        `patient`: raise `LostRace` at once if another operation is under way that should not be disturbed.
        """

    def settle_conflicts(self, d: ClusterTransaction, locks: Collection[str]) -> None:
        """Settle conflicts with other operations. After this D may be written and committed.

        Raises:
            LostRace: the operation has to begin again.
        """

    def record(self, d: ClusterTransaction, locks: Collection[str], forgotten: Collection[str] = ()) -> None:
        """Write in D, after all other writes, the record that D is stored. `forgotten` locks lose their states."""

    def commit(self, d: ClusterTransaction) -> None:
        """Commit D.

        Raises:
            LostRace: D is not stored and never will be.
            OutcomeInDoubt: the cluster does not say whether D is stored.
        """

    def withdraw(self, d: ClusterTransaction) -> None:
        """Let other operations continue, after any exception."""


class Concurrency(Protocol):
    """One of the three ways, for all writes of a repository."""

    def turn(self, operation: Operation) -> AbstractContextManager[None]:
        """Return the context in which an attempt runs: from before its transaction begins until after it has ended."""

    def attempt(self, operation: Operation) -> Attempt:
        """Return the attempt for the next transaction of an operation."""

    def close(self) -> None:
        """Release what this process holds. No write follows, for now."""
