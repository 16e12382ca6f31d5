"""Faults to order: the nth request of a kind from now fails in some way."""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from tools.vast_emulator.settings import Settings


class Way(StrEnum):
    """How a request fails."""

    CONFLICT = "conflict"  # 409; a commit that is refused so ends its transaction
    SLOW_DOWN = "slow_down"  # 503 SlowDown, which the SDK retries
    UNAVAILABLE = "unavailable"  # 503
    INTERNAL_ERROR = "internal_error"  # 500
    BAD_GATEWAY = "bad_gateway"  # 502, not from the cluster
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504, not from the cluster
    EXPIRED = "expired"  # the transaction is rolled back; 404
    CUT = "cut"  # not done; the connection is closed
    LOST = "lost"  # done; the connection is closed instead of an answer
    LOST_BAD_GATEWAY = "lost_bad_gateway"  # done; 502
    LOST_SLOW_DOWN = "lost_slow_down"  # done; 503 SlowDown
    LATE = "late"  # the connection is closed; done some seconds later, or when the test says so
    STALL = "stall"  # done and answered some seconds later
    CUT_STREAM = "cut_stream"  # done; the connection is closed in the middle of the answer
    FAILED_STREAM = "failed_stream"  # a select: 200, and in the body that the query failed


# Kinds of requests that change something, for faults in any of them.
WRITES = frozenset(
    {
        "begin", "commit", "rollback", "insert", "update", "delete", "import",
        "create_schema", "alter_schema", "drop_schema", "create_table", "alter_table", "drop_table",
        "add_columns", "alter_column", "drop_columns", "create_projection", "alter_projection", "drop_projection",
    }
)  # fmt: skip
_ANYWHERE = (Way.SLOW_DOWN, Way.BAD_GATEWAY, Way.CUT, Way.LOST, Way.UNAVAILABLE)
_ONLY: dict[str, tuple[Way, ...]] = {
    "commit": (*_ANYWHERE, Way.CONFLICT, Way.LATE, Way.EXPIRED, Way.LOST_BAD_GATEWAY),
    "select": (*_ANYWHERE, Way.CUT_STREAM),
    "insert": (*_ANYWHERE, Way.CONFLICT, Way.EXPIRED),
    "update": (*_ANYWHERE, Way.CONFLICT, Way.EXPIRED),
    "delete": (*_ANYWHERE, Way.CONFLICT, Way.EXPIRED),
}


@dataclass(slots=True)
class Fault:
    """A failure to come."""

    kind: str  # of request; "*" is any, "write" any that changes something
    way: Way
    nth: int = 1  # 1 is the next one of its kind
    times: int = 1  # so many in a row; 0: for ever
    table: str | None = None  # only requests to the table of this name
    seconds: float | None = None  # of `late` (None: until `release`) and `stall`

    def matches(self, kind: str, table: str | None) -> bool:
        """Whether this request is one that the fault counts."""
        of_kind = self.kind in (kind, "*") or (self.kind == "write" and kind in WRITES)
        return of_kind and (self.table is None or self.table == table)


class Faults:
    """The failures to come, and the requests that will be done later."""

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
        fault = Fault(kind, Way(way), nth, times, table, seconds)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget what is to come; requests that are held are dropped."""
        with self._lock:
            self._faults.clear()
            self._held.clear()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    @property
    def pending(self) -> list[Fault]:
        """What is to come."""
        with self._lock:
            return list(self._faults)

    @property
    def held(self) -> int:
        """How many requests wait for `release`."""
        with self._lock:
            return len(self._held)

    def next(self, kind: str, table: str | None) -> Fault | None:
        """The failure of this request, if it is to fail. Every fault that counts such requests counts this one."""
        chosen = None
        with self._lock:
            for fault in list(self._faults):
                if not fault.matches(kind, table):
                    continue
                if fault.nth > 1:
                    fault.nth -= 1
                elif chosen is None:
                    chosen = fault
                    if fault.times == 1:
                        self._faults.remove(fault)
                    elif fault.times:
                        fault.times -= 1
            if chosen is None and self._settings.chaos_rate and self._random.random() < self._settings.chaos_rate:
                way = self._random.choice(_ONLY.get(kind, _ANYWHERE))
                chosen = Fault(kind, way, seconds=self._random.random() * 0.2)
        return chosen

    def hold(self, request: Callable[[], object], seconds: float | None) -> None:
        """Do a request later: after some seconds, or when it is released."""
        with self._lock:
            if seconds is None:
                self._held.append(request)
            else:
                timer = threading.Timer(seconds, request)
                timer.daemon = True
                timer.start()
                self._timers = [*(t for t in self._timers if t.is_alive()), timer]

    def release(self) -> int:
        """Do the held requests now; how many there were."""
        with self._lock:
            held, self._held = self._held, []
        _run(held)
        return len(held)


def _run(requests: Iterable[Callable[[], object]]) -> None:
    for request in requests:
        request()
