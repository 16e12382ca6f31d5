"""Rate limits per key: a burst at once, and a steady rate over time.

The generic cell rate algorithm keeps one number per key: the time at which everything taken so far would have been used
up at the steady rate. Each process counts for itself.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class RateLimiter:
    """Allows each key `burst` actions at once and `per_second` over time.

    Keeps the `max_keys` most recently used keys.
    """

    def __init__(
        self, burst: int, per_second: float, max_keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1 / per_second
        self._burst_seconds = (burst - 1) * self._interval
        self._max_keys = max_keys
        self._clock = clock
        self._used_up_at: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> float:
        """Take one action and return 0; if the limit is reached, take nothing and return the seconds to wait."""
        with self._lock:
            now = self._clock()
            used_up_at = max(self._used_up_at.get(key, now), now)
            wait = used_up_at - self._burst_seconds - now
            if wait > 0:
                return wait
            self._used_up_at[key] = used_up_at + self._interval
            self._used_up_at.move_to_end(key)
            if len(self._used_up_at) > self._max_keys:
                self._used_up_at.popitem(last=False)
            return 0.0

    def give_back(self, key: Hashable) -> None:
        """Undo one `take`."""
        with self._lock:
            if key in self._used_up_at:
                self._used_up_at[key] -= self._interval
