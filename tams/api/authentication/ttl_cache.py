"""A cache of authentication results, so that credentials are not verified again for each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from cachetools import TLRUCache

V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    """A value, and the time at which it expires, in seconds since the epoch."""

    value: V
    expires: float


class TtlCache(Generic[V]):
    """A thread-safe cache of at most `max_entries` values, each with an expiry of its own.

    A full cache drops expired entries first, then the least recently used one. Keys are hashes, never credentials.
    """

    def __init__(self, max_entries: int, clock: Callable[[], float] = time.time) -> None:
        # Not cachetools' TTLCache: there, every entry lives equally long.
        self._entries: TLRUCache[bytes, _Entry[V]] = TLRUCache(
            max_entries, ttu=lambda _key, entry, _now: entry.expires, timer=clock
        )
        # cachetools leaves locking to its callers; reading reorders the entries, so it is locked too.
        self._lock = threading.Lock()

    def get(self, key: bytes) -> V | None:
        """Return the value, or None if it is missing or has expired."""
        with self._lock:
            # cachetools only hides expired entries from readers; dropped, they stay away if the clock is set back.
            self._entries.expire()
            entry = self._entries.get(key)
        return None if entry is None else entry.value

    def put(self, key: bytes, value: V, expires: float) -> None:
        """Keep the value until `expires`, in seconds since the epoch."""
        with self._lock:
            self._entries[key] = _Entry(value, expires)
