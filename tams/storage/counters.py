"""What the Storage Backends of this process were asked, counted for whoever publishes it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final


class RequestCounter:
    """Requests by backend id, operation and outcome: "" for success, otherwise S3's code or the error's name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, backend_id: str, operation: str, outcome: str) -> None:
        """Count one request."""
        with self._lock:
            self._counts[backend_id, operation, outcome] += 1

    def counts(self) -> dict[tuple[str, str, str], int]:
        """All counts so far."""
        with self._lock:
            return dict(self._counts)


REQUESTS: Final = RequestCounter()
"""The counts of this process, from its start."""
