"""Counts of this process's requests to S3, for publication as a metric."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final


class RequestCounter:
    """Number of requests by backend id, operation and outcome.

    The outcome is "" for success, otherwise S3's error code, or the name of the exception.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, backend_id: str, operation: str, outcome: str) -> None:
        """Count one request."""
        with self._lock:
            self._counts[backend_id, operation, outcome] += 1

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return all counts so far."""
        with self._lock:
            return dict(self._counts)


REQUESTS: Final = RequestCounter()
"""The counts of this process since its start."""
