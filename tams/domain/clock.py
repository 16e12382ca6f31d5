"""Wall-clock time: microseconds since 1970 inside, UTC in whole seconds with `Z` outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime

MICROSECONDS = 1_000_000


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def format_time(microseconds: int) -> str:
    """`2026-01-31T12:00:00Z`: whole seconds, because widely used players reject fractions."""
    return datetime.fromtimestamp(microseconds // MICROSECONDS, UTC).isoformat()[:19] + "Z"
