"""Wall-clock time: microseconds since 1970 inside the store, UTC in whole seconds with `Z` in JSON."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

MICROSECONDS = 1_000_000


def now() -> int:
    """Return the microseconds since 1970."""
    return time.time_ns() // 1000


def format_time(microseconds: int) -> str:
    """Return a time such as `2026-01-31T12:00:00Z`: whole seconds, because widely used players reject fractions."""
    return _format_second(microseconds // MICROSECONDS)


# Cached: the times in a listing fall into few seconds, and the log has many lines per second.
@lru_cache(maxsize=4096)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19] + "Z"
