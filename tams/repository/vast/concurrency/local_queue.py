"""A queue per lock inside one process, so that its threads do not race each other in the cluster.

It only saves work: the protocol between processes keeps the promises. A thread that waits too long here continues
without its turn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

_MAX_WAIT = 5.0


class LocalQueue:
    """Mutexes by name. One exists while a thread holds it or waits for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._mutexes: dict[str, tuple[threading.Lock, int]] = {}

    def acquire(self, names: Iterable[str]) -> tuple[list[str], bool]:
        """Wait for all of the names, in an order that is the same for all threads.

        Return the names that were acquired, and whether the thread had to wait for any.
        """
        acquired, waited = [], False
        for name in sorted(names):
            with self._guard:
                mutex, users = self._mutexes.get(name, (threading.Lock(), 0))
                self._mutexes[name] = (mutex, users + 1)
            if mutex.acquire(blocking=False):
                acquired.append(name)
                continue
            waited = True
            if mutex.acquire(timeout=_MAX_WAIT):
                acquired.append(name)
            else:
                self._leave(name)
        return acquired, waited

    def release(self, names: Iterable[str]) -> None:
        """Release names that were acquired."""
        for name in names:
            with self._guard:
                mutex, _ = self._mutexes[name]
            mutex.release()
            self._leave(name)

    def _leave(self, name: str) -> None:
        with self._guard:
            mutex, users = self._mutexes[name]
            if users == 1:
                del self._mutexes[name]
            else:
                self._mutexes[name] = (mutex, users - 1)
