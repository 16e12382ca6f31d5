"""Injected faults: the nth request of a kind from now fails in a chosen way."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tools.vast_emulator.settings import Settings


class Way(StrEnum):
    """A way in which a request fails."""

    CONFLICT = "conflict"  # 409; on a commit, it also ends the transaction
    SLOW_DOWN = "slow_down"  # 503 SlowDown, which the SDK retries
    UNAVAILABLE = "unavailable"  # 503
    INTERNAL_ERROR = "internal_error"  # 500
    FORBIDDEN = "forbidden"  # 403, as of an access key without the permission
    BAD_GATEWAY = "bad_gateway"  # 502 from a proxy, not from the cluster
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504 from a proxy, not from the cluster
    EXPIRED = "expired"  # the transaction is rolled back; 404
    CUT = "cut"  # not executed; the connection is closed
    LOST = "lost"  # executed; the connection is closed instead of a response
    LOST_BAD_GATEWAY = "lost_bad_gateway"  # executed; 502
    LOST_SLOW_DOWN = "lost_slow_down"  # executed; 503 SlowDown
    LATE = "late"  # the connection is closed; executed some seconds later, or when the test calls `release`
    STALL = "stall"  # executed and answered some seconds later
    CUT_STREAM = "cut_stream"  # executed; the connection is closed in the middle of the response
    FAILED_STREAM = "failed_stream"  # a select: 200, with a body that reports that the query failed


# Kinds of requests that change data or definitions; a fault of kind "write" applies to all of them.
WRITES = frozenset(
    {
        "begin", "commit", "rollback", "insert", "update", "delete", "import",
        "create_schema", "alter_schema", "drop_schema", "create_table", "alter_table", "drop_table",
        "add_columns", "alter_column", "drop_columns", "create_projection", "alter_projection", "drop_projection",
    }
)  # fmt: skip
_CHAOS_WAYS = (Way.SLOW_DOWN, Way.BAD_GATEWAY, Way.CUT, Way.LOST, Way.UNAVAILABLE)
_CHAOS_WAYS_BY_KIND: dict[str, tuple[Way, ...]] = {
    "commit": (*_CHAOS_WAYS, Way.CONFLICT, Way.LATE, Way.EXPIRED, Way.LOST_BAD_GATEWAY),
    "select": (*_CHAOS_WAYS, Way.CUT_STREAM),
    "insert": (*_CHAOS_WAYS, Way.CONFLICT, Way.EXPIRED),
    "update": (*_CHAOS_WAYS, Way.CONFLICT, Way.EXPIRED),
    "delete": (*_CHAOS_WAYS, Way.CONFLICT, Way.EXPIRED),
}


@dataclass(slots=True)
class Fault:
    """A fault that is yet to happen."""

    kind: str  # kind of request; "*" matches all, "write" all of WRITES
    way: Way
    nth: int = 1  # 1 is the next request of the kind
    times: int = 1  # number of requests in a row; 0: without end
    table: str | None = None  # matches only requests to the table with this name
    seconds: float | None = None  # duration of `late` (None: until `release`) and `stall`

    def matches(self, kind: str, table: str | None) -> bool:
        """Return True if the fault counts requests of this kind to this table."""
        of_kind = self.kind in (kind, "*") or (self.kind == "write" and kind in WRITES)
        return of_kind and (self.table is None or self.table == table)


class Faults:
    """The pending faults, and the requests that are held back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._held: list[Callable[[], object]] = []
        self._timers: list[threading.Timer] = []
        self._random = random.Random(settings.seed)

    def fail(
        self,
        kind: str,
        way: Way | str,
        *,
        nth: int = 1,
        times: int = 1,
        table: str | None = None,
        seconds: float | None = None,
    ) -> Fault:
        """Let the nth request of a kind from now, and `times` in a row, fail."""
        fault = Fault(kind, Way(way), nth=nth, times=times, table=table, seconds=seconds)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove the pending faults, and drop the requests that are held."""
        with self._lock:
            self._faults.clear()
            self._held.clear()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    @property
    def pending(self) -> list[Fault]:
        """Return the faults that are yet to happen."""
        with self._lock:
            return list(self._faults)

    @property
    def held(self) -> int:
        """Return the number of requests that wait for `release`."""
        with self._lock:
            return len(self._held)

    def next(self, kind: str, table: str | None) -> Fault | None:
        """Return the fault of this request, or None. Every pending fault that matches the request counts it."""
        due = None
        with self._lock:
            for fault in list(self._faults):
                if not fault.matches(kind, table):
                    continue
                if fault.nth > 1:
                    fault.nth -= 1
                elif due is None:
                    due = fault
                    if fault.times == 1:
                        self._faults.remove(fault)
                    elif fault.times:
                        fault.times -= 1
            if due is None and self._settings.chaos_rate and self._random.random() < self._settings.chaos_rate:
                way = self._random.choice(_CHAOS_WAYS_BY_KIND.get(kind, _CHAOS_WAYS))
                due = Fault(kind, way, seconds=self._random.random() * 0.2)
        return due

    def hold(self, request: Callable[[], object], seconds: float | None) -> None:
        """Execute a request later: after some seconds, or on `release`."""
        with self._lock:
            if seconds is None:
                self._held.append(request)
            else:
                timer = threading.Timer(seconds, request)
                timer.daemon = True
                timer.start()
                self._timers = [*(t for t in self._timers if t.is_alive()), timer]

    def release(self) -> int:
        """Execute the held requests now; return their number."""
        with self._lock:
            requests, self._held = self._held, []
        for request in requests:
            request()
        return len(requests)
