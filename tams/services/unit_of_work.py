"""The protocol of every write: find, claim, re-read once, decide, write.

1. *Find* what the decision may rest on, from what the transaction sees before its claim.
2. *Claim* it. A transaction claims once, before its first write.
3. *Re-read* it once, into a value. What is read after the claim is current at commit. Raise `Retry` if this value needs
   a claim that was not made, because something changed between the first two steps.
4. *Decide* on that value. Nothing that it holds is read again.
5. *Write*.

A write that knows from its arguments what to claim begins with the second step: it calls `claim`. The others call
`claim_and_reread`, or `claim` where the two readings differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from tams.domain.errors import Contended
from tams.domain.identifiers import new_id
from tams.repository.port import Key, Read, Repository, Write

T = TypeVar("T")
State = TypeVar("State")

_ATTEMPTS = 10


class Retry(Exception):
    """Something changed between finding it and claiming it. The transaction has to begin again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The keys that a transaction has claimed."""

    keys: frozenset[Key]

    def require(self, keys: Iterable[Key]) -> None:
        """Raise `Retry` unless all of the keys were claimed."""
        if not self.keys.issuperset(keys):
            raise Retry


def claim(tx: Write, keys: Iterable[Key]) -> Claim:
    """Claim the keys. What is read of them from here on is current at commit."""
    claimed = frozenset(keys)
    tx.claim(*sorted(claimed))
    return Claim(claimed)


def claim_and_reread(tx: Write, read: Callable[[Read], State], keys: Callable[[State], Collection[Key]]) -> State:
    """Find by `read`, claim the `keys` of the value found, and return what `read` returns after the claim.

    Raises:
        Retry: the value that was re-read has keys that the value found did not have.
    """
    claimed = claim(tx, keys(read(tx)))
    state = read(tx)
    claimed.require(keys(state))
    return state


def run(repository: Repository, transact: Callable[[Write], T]) -> T:
    """Run `transact` in one transaction under a new operation id (see `Repository.write`), and return what it returns.

    The transaction begins again, at once and under a new id, each time that `transact` raises `Retry`.

    Raises:
        Contended: `transact` has raised `Retry` ten times.
    """
    return _retrying(lambda: repository.write(new_id(), transact))


def _give_up(_: RetryCallState) -> NoReturn:
    raise Contended("Other requests keep changing what this request is about. Try again.")


_retrying = Retrying(
    retry=retry_if_exception_type(Retry), stop=stop_after_attempt(_ATTEMPTS), retry_error_callback=_give_up
)
