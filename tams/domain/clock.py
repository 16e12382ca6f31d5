"""Wall-clock time: microseconds since 1970 inside, UTC in whole seconds with `Z` outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

MICROSECONDS = 1_000_000


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def format_time(microseconds: int) -> str:
    """`2026-01-31T12:00:00Z`: whole seconds, because widely used players reject fractions."""
    return _format_second(microseconds // MICROSECONDS)


# A listing holds many times of few seconds, and the log has many lines of each.
@lru_cache(maxsize=4096)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19] + "Z"
