"""An operation: one write of a caller, over all its attempts."""

from __future__ import annotations

from tams.domain.clock import now
from tams.domain.errors import Contended
from tams.repository.vast.concurrency.clock import boot_clock

_MAX_DOUBT = 20.0
"""Seconds for which an unanswered commit is investigated before the caller gets an error. A shorter operation time-out
limits it."""


class Operation:
    """One write, over all its attempts: its name in the table of locks, its deadline, and what it remembers.

    `seen`: when it first saw each live claim of another operation. `locks`: the locks of its earlier attempts.
    `races`: how many races it has lost.
    """

    def __init__(self, op: str, timeout: float) -> None:
        # Names sort by age, as far as the clocks agree. If they disagree, a younger operation goes first.
        self.name = f"{now():016x} {op}"
        self.deadline = boot_clock() + timeout
        self.patience = min(_MAX_DOUBT, timeout)
        self.seen: dict[tuple[str, str], float] = {}
        self.locks: set[str] = set()
        self.races = 0

    def check_time(self) -> None:
        """Raise `Contended` if the deadline has passed.

        States older than a day are pruned, which is safe because no transaction D lasts that long.
        """
        if boot_clock() > self.deadline:
            raise Contended("Other requests keep changing the same resources; try again.")
