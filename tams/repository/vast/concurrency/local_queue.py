"""A queue for each key inside one process, so that its threads do not race each other in the cluster.

Only to save work: what keeps the promises is the protocol in `claims`, and who waits too long here goes on without.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

_LONGEST_WAIT = 5.0


class Mutexes:
    """Locks by name, there while somebody holds or wants them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    def acquire(self, names: Iterable[str]) -> tuple[list[str], bool]:
        """Wait for all of them, in an order that is the same for all; those that were got, and if one had to wait."""
        got, waited = [], False
        for name in sorted(names):
            with self._guard:
                lock, users = self._locks.get(name, (threading.Lock(), 0))
                self._locks[name] = (lock, users + 1)
            if lock.acquire(blocking=False):
                got.append(name)
                continue
            waited = True
            if lock.acquire(timeout=_LONGEST_WAIT):
                got.append(name)
            else:
                self._leave(name)
        return got, waited

    def release(self, names: Iterable[str]) -> None:
        """Let the next ones have them."""
        for name in names:
            with self._guard:
                lock, _ = self._locks[name]
            lock.release()
            self._leave(name)

    def _leave(self, name: str) -> None:
        with self._guard:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)
