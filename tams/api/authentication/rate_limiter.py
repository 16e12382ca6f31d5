"""How often somebody may do something: so many at once, and so many per second over time.

The generic cell rate algorithm: per key one number, the time at which all that was taken would have come at the even
pace. Each process keeps its own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Pace:
    """`burst` at once, `per_second` over time, for each key. Keeps the `most` keys that were used last."""

    def __init__(
        self, burst: int, per_second: float, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / per_second
        self._ahead = (burst - 1) * self._interval
        self._most = most
        self._clock = clock
        self._taken: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> float:
        """Take one: 0 where it may be, else the seconds to wait, and nothing is taken."""
        with self._lock:
            now = self._clock()
            at = max(self._taken.get(key, now), now)
            wait = at - self._ahead - now
            if wait > 0:
                return wait
            self._taken[key] = at + self._interval
            self._taken.move_to_end(key)
            if len(self._taken) > self._most:
                self._taken.popitem(last=False)
            return 0.0

    def give_back(self, key: Hashable) -> None:
        """Undo one `take`."""
        with self._lock:
            if key in self._taken:
                self._taken[key] -= self._interval
