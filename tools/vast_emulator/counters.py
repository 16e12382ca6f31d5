"""What was asked for, and how much work it was."""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counts:
    """Numbers since some moment."""

    requests: Counter[str] = field(default_factory=Counter)  # by kind
    statuses: Counter[str] = field(default_factory=Counter)  # by kind and status: "select 200"
    tables: Counter[str] = field(default_factory=Counter)  # by kind and table: "select segments"
    rows_looked_at: int = 0
    rows_sent: int = 0
    rows_written: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.requests.total()

    def as_dict(self) -> dict[str, Any]:
        """The numbers as JSON can say them."""
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
    """Counts since the start, and since any later moment that somebody asks for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all = Counts()
        self._listening: list[Counts] = []
        self.recent: deque[str] = deque(maxlen=200)  # the last requests, as "kind target status"

    def request(self, kind: str, table: str | None) -> None:
        """A request came."""
        with self._lock:
            for counts in (self._all, *self._listening):
                counts.requests[kind] += 1
                if table is not None:
                    counts.tables[f"{kind} {table}"] += 1

    def answer(self, kind: str, target: str, status: str) -> None:
        """A request was answered; the status is a number, or what was done instead of an answer."""
        with self._lock:
            self.recent.append(f"{kind} {target} {status}")
            for counts in (self._all, *self._listening):
                counts.statuses[f"{kind} {status}"] += 1

    def rows(self, *, looked_at: int = 0, sent: int = 0, written: int = 0) -> None:
        """Rows were read or written."""
        with self._lock:
            for counts in (self._all, *self._listening):
                counts.rows_looked_at += looked_at
                counts.rows_sent += sent
                counts.rows_written += written

    @contextmanager
    def counting(self) -> Iterator[Counts]:
        """The numbers of what happens inside."""
        counts = Counts()
        with self._lock:
            self._listening.append(counts)
        try:
            yield counts
        finally:
            with self._lock:
                self._listening = [listening for listening in self._listening if listening is not counts]

    def as_dict(self) -> dict[str, Any]:
        """The numbers since the start, or the last reset."""
        with self._lock:
            return self._all.as_dict()

    def reset(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self._all = Counts()
