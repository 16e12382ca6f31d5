"""Mixed requests over several connections: as fast as responses arrive, or at a fixed pace.

At a fixed pace, each request has a due time, and its latency counts from then: if the server falls behind, the time
that requests wait for a free connection is part of their latency.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from tools.bench.load import TIMEOUT, LoadConnection, quantile


class PlannedRequest(NamedTuple):
    """A request to send, and the status that its response must have."""

    kind: Literal["read", "write"]
    content: bytes
    status: int


class Results:
    """The results of the requests of one kind. Latencies are in seconds, in the order of arrival."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0

    def quantile(self, part: float) -> float:
        """Return the latency in seconds that a share of `part` of the requests does not exceed."""
        return quantile(sorted(self.latencies), part)


class Mixed(NamedTuple):
    """The results of a load, and its duration in seconds."""

    read: Results
    write: Results
    seconds: float

    @property
    def rate(self) -> float:
        """Return the number of requests per second."""
        return (len(self.read.latencies) + len(self.write.latencies)) / self.seconds

    @property
    def errors(self) -> int:
        """Return the number of responses with an unexpected status."""
        return self.read.errors + self.write.errors


def drive_mixed(
    connections: Sequence[LoadConnection], requests: Iterator[PlannedRequest], seconds: float, rate: float | None = None
) -> Mixed:
    """Send requests for some seconds and close the connections.

    `rate` is the number of requests per second; None sends each as soon as a connection is free.
    """
    read, write = Results(), Results()
    now = time.perf_counter
    free = deque(connections)
    overdue: deque[float] = deque()
    in_flight: dict[LoadConnection, tuple[PlannedRequest, float]] = {}
    with selectors.EpollSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        start = now()
        end = start + seconds
        due = start
        while True:
            moment = now()
            while rate is not None and due <= moment and due < end:
                overdue.append(due)
                due += 1 / rate
            while free and (overdue or (rate is None and moment < end)):
                connection, request = free.popleft(), next(requests)
                in_flight[connection] = request, overdue.popleft() if overdue else now()
                connection.send(request.content)
            over = due >= end if rate is not None else moment >= end
            if over and not in_flight and not overdue:
                break
            wait = TIMEOUT if over or rate is None else max(0.0, due - now())
            ready = selector.select(wait)
            if not ready and wait == TIMEOUT:
                raise RuntimeError(f"requests were not answered within {TIMEOUT} s")
            for key, _ in ready:
                connection = key.data
                if connection.read():
                    request, since = in_flight.pop(connection)
                    results = read if request.kind == "read" else write
                    results.latencies.append(now() - since)
                    results.errors += connection.status != request.status
                    free.append(connection)
        duration = now() - start
    for connection in connections:
        connection.socket.close()
    return Mixed(read, write, duration)
