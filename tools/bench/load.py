"""The load generator: connections that each send a request as soon as the previous one is answered.

A single process waits on all connections. It does so little per request that it takes a few hundredths of a
millisecond of CPU, which is measured and reported with the figures.
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

import psutil

from tools.bench.http import length_of, request, status_of
from tools.bench.servers import Server

CONNECTIONS = 8

_PIECE = 1 << 18
TIMEOUT = 30.0  # seconds


class Load(NamedTuple):
    """The result of a load. Times are in seconds; `own_cpu` is the CPU time of the generator itself."""

    requests: int
    seconds: float
    p50: float
    p99: float
    own_cpu: float


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return the value that a share of `part` of the ordered values does not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def drive(server: Server, path: str, seconds: float) -> Load:
    """GET `path` for some seconds.

    Raises:
        RuntimeError: A response has another status than 200, or does not arrive in time.
    """
    content = request("GET", path)
    latencies: list[float] = []
    now = time.perf_counter
    with selectors.EpollSelector() as selector:
        connections = spread(server, CONNECTIONS)
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        cpu, start = time.process_time(), now()
        end = start + seconds
        for connection in connections:
            connection.send(content)
        pending = len(connections)
        while pending:
            ready = selector.select(TIMEOUT)
            if not ready:
                raise RuntimeError(f"GET {path} was not answered within {TIMEOUT} s")
            for key, _ in ready:
                ready_connection: LoadConnection = key.data
                if not ready_connection.read():
                    continue
                if ready_connection.status != 200:
                    raise RuntimeError(f"GET {path} was answered with {ready_connection.status} under load")
                moment = now()
                latencies.append(moment - ready_connection.sent_at)
                if moment < end:
                    ready_connection.send(content)
                else:
                    pending -= 1
        duration, own_cpu = now() - start, time.process_time() - cpu
        for connection in connections:
            connection.socket.close()
    latencies.sort()
    return Load(len(latencies), duration, quantile(latencies, 0.5), quantile(latencies, 0.99), own_cpu)


class LoadConnection:
    """A connection of the generator. `status` is that of the last response."""

    __slots__ = ("_rest", "_start", "sent_at", "socket", "status")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.status = 0
        self._start = b""
        self._rest = 0

    def send(self, content: bytes) -> None:
        """Send a request."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(content)

    def read(self) -> bool:
        """Read what has arrived; return True if the response is complete."""
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise RuntimeError("the server closed a connection under load")
        if self._rest:
            self._rest -= len(piece)
        else:
            piece = self._start + piece
            _, end = length_of(piece)
            if not end:
                self._start = piece
                return False
            self._start = b""
            self._rest = end - len(piece)
            self.status = status_of(piece)
        return not self._rest


def spread(server: Server, count: int) -> list[LoadConnection]:
    """Open `count` connections, distributed evenly over the server's processes.

    Without this, the process that wakes up faster accepts all or most of them, and the others stay idle: the server is
    half as fast for as long as these connections last, and not so the next time.
    """
    workers = server.workers
    connections: list[LoadConnection] = []
    for position, worker in enumerate(workers):
        others = [other for other in workers if other is not worker]
        for other in others:
            other.suspend()
        try:
            for _ in range(position, count, len(workers)):
                connections.append(LoadConnection(server.port))
                _wait_until_accepted(worker, connections[-1])
        finally:
            for other in others:
                other.resume()
    return connections


def _wait_until_accepted(worker: psutil.Process, connection: LoadConnection) -> None:
    address = connection.socket.getsockname()
    end = time.monotonic() + TIMEOUT
    while all(peer.raddr != address for peer in worker.net_connections("inet4")):
        if time.monotonic() > end:
            raise RuntimeError(f"the server's process {worker.pid} accepted no connection within {TIMEOUT} s")
        time.sleep(0.001)
