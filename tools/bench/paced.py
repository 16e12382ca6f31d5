"""Different requests over some connections: as fast as they are answered, or at a pace that waits for nobody.

At a pace, each request has its moment, and its latency counts from there: where the server falls behind, the time that
requests wait for a free connection is theirs, too.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from tools.bench.load import PATIENCE, Waiting, quantile


class Asked(NamedTuple):
    """A request to send, and the status it has to be answered with."""

    kind: Literal["read", "write"]
    content: bytes
    status: int


class Answered:
    """What came of the requests of one kind. Seconds, in order once `sorted`."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0

    def quantile(self, part: float) -> float:
        """The latency (seconds) that `part` of them do not exceed."""
        return quantile(sorted(self.latencies), part)


class Mixed(NamedTuple):
    """What came of a load, and how many seconds it took."""

    read: Answered
    write: Answered
    seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return (len(self.read.latencies) + len(self.write.latencies)) / self.seconds

    @property
    def errors(self) -> int:
        """Answers of another status than expected."""
        return self.read.errors + self.write.errors


def drive_mixed(
    connections: Sequence[Waiting], requests: Iterator[Asked], seconds: float, rate: float | None = None
) -> Mixed:
    """Send requests for so long: `rate` a second, or each as soon as a connection is free. The connections are closed
    then."""
    read, write = Answered(), Answered()
    now = time.perf_counter
    free = deque(connections)
    late: deque[float] = deque()
    under_way: dict[Waiting, tuple[Asked, float]] = {}
    with selectors.EpollSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        began = now()
        end = began + seconds
        due = began
        while True:
            moment = now()
            while rate is not None and due <= moment and due < end:
                late.append(due)
                due += 1 / rate
            while free and (late or (rate is None and moment < end)):
                connection, asked = free.popleft(), next(requests)
                under_way[connection] = asked, late.popleft() if late else now()
                connection.ask(asked.content)
            over = due >= end if rate is not None else moment >= end
            if over and not under_way and not late:
                break
            wait = PATIENCE if over or rate is None else max(0.0, due - now())
            ready = selector.select(wait)
            if not ready and wait == PATIENCE:
                raise RuntimeError(f"requests were not answered within {PATIENCE} s")
            for key, _ in ready:
                connection = key.data
                if connection.read():
                    asked, since = under_way.pop(connection)
                    answered = read if asked.kind == "read" else write
                    answered.latencies.append(now() - since)
                    answered.errors += connection.status != asked.status
                    free.append(connection)
        lasted = now() - began
    for connection in connections:
        connection.socket.close()
    return Mixed(read, write, lasted)
