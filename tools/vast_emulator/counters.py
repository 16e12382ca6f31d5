"""Counts of requests and rows."""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counts:
    """Numbers of requests and rows over a period."""

    requests: Counter[str] = field(default_factory=Counter)  # by kind
    statuses: Counter[str] = field(default_factory=Counter)  # by kind and status: "select 200"
    tables: Counter[str] = field(default_factory=Counter)  # by kind and table: "select segments"
    rows_looked_at: int = 0
    rows_sent: int = 0
    rows_written: int = 0

    @property
    def total(self) -> int:
        """Return the number of all requests."""
        return self.requests.total()

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return {
            "total": self.total,
            "requests": dict(self.requests),
            "statuses": dict(self.statuses),
            "tables": dict(self.tables),
            "rows_looked_at": self.rows_looked_at,
            "rows_sent": self.rows_sent,
            "rows_written": self.rows_written,
        }


class Counters:
    """Counts since the start, and during each `counting` block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all = Counts()
        self._listeners: list[Counts] = []
        self.recent: deque[str] = deque(maxlen=200)  # the latest requests, as "kind target status"

    def request(self, kind: str, table: str | None) -> None:
        """Count a request."""
        with self._lock:
            for counts in (self._all, *self._listeners):
                counts.requests[kind] += 1
                if table is not None:
                    counts.tables[f"{kind} {table}"] += 1

    def response(self, kind: str, target: str, status: str) -> None:
        """Count a response; `status` is the HTTP status, or "cut" if the connection was closed instead."""
        with self._lock:
            self.recent.append(f"{kind} {target} {status}")
            for counts in (self._all, *self._listeners):
                counts.statuses[f"{kind} {status}"] += 1

    def rows(self, *, looked_at: int = 0, sent: int = 0, written: int = 0) -> None:
        """Count rows that were read or written."""
        with self._lock:
            for counts in (self._all, *self._listeners):
                counts.rows_looked_at += looked_at
                counts.rows_sent += sent
                counts.rows_written += written

    @contextmanager
    def counting(self) -> Iterator[Counts]:
        """Yield the counts of what happens during the block."""
        counts = Counts()
        with self._lock:
            self._listeners.append(counts)
        try:
            yield counts
        finally:
            with self._lock:
                self._listeners = [listener for listener in self._listeners if listener is not counts]

    def as_dict(self) -> dict[str, Any]:
        """Return the counts since the start, or since the last reset, as a JSON object."""
        with self._lock:
            return self._all.as_dict()

    def reset(self) -> None:
        """Set the counts to zero; `recent` and open `counting` blocks keep theirs."""
        with self._lock:
            self._all = Counts()
