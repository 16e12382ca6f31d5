"""What was found out a moment ago, so that it need not be found out for each request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """Values by key, each until its time; the least recently used goes where there are too many.

    Keys are hashes, never credentials. Times are seconds since the epoch.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[bytes, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes, now: float) -> V | None:
        """The value, or None where it is not there or its time has passed."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            until, value = found
            if now >= until:
                del self._values[key]
                return None
            self._values.move_to_end(key)
            return value

    def put(self, key: bytes, value: V, until: float) -> None:
        """Remember the value."""
        with self._lock:
            self._values[key] = (until, value)
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)
