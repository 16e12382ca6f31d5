"""The load generator: some connections that each ask again as soon as they are answered.

One process that waits on all its connections at once; it does so little for a request that it takes a few hundredths of
a millisecond of CPU, which is measured and shown with the figures.
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
PATIENCE = 30.0  # seconds


class Load(NamedTuple):
    """What came of it. Seconds; `own_cpu` is what the generator itself used."""

    requests: int
    seconds: float
    p50: float
    p99: float
    own_cpu: float


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value that `part` of the ordered values do not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def drive(server: Server, path: str, seconds: float) -> Load:
    """GET `path` for so long. `RuntimeError` where an answer is not 200."""
    content = request("GET", path)
    latencies: list[float] = []
    now = time.perf_counter
    with selectors.EpollSelector() as selector:
        connections = spread(server, CONNECTIONS)
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        cpu, began = time.process_time(), now()
        end = began + seconds
        for connection in connections:
            connection.ask(content)
        asked = len(connections)
        while asked:
            ready = selector.select(PATIENCE)
            if not ready:
                raise RuntimeError(f"GET {path} was not answered within {PATIENCE} s")
            for key, _ in ready:
                waiting: Waiting = key.data
                if not waiting.read():
                    continue
                if waiting.status != 200:
                    raise RuntimeError(f"GET {path} was answered with {waiting.status} under load")
                moment = now()
                latencies.append(moment - waiting.asked)
                if moment < end:
                    waiting.ask(content)
                else:
                    asked -= 1
        lasted, used = now() - began, time.process_time() - cpu
        for connection in connections:
            connection.socket.close()
    latencies.sort()
    return Load(len(latencies), lasted, quantile(latencies, 0.5), quantile(latencies, 0.99), used)


class Waiting:
    """One connection of the generator and how much of an answer is still to come. `status` is the last answer's."""

    __slots__ = ("_begun", "_rest", "asked", "socket", "status")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = 0.0
        self.status = 0
        self._begun = b""
        self._rest = 0

    def ask(self, content: bytes) -> None:
        """Send a request."""
        self.asked = time.perf_counter()
        self.socket.sendall(content)

    def read(self) -> bool:
        """Take what has come; whether the answer is whole."""
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise RuntimeError("the server closed a connection under load")
        if self._rest:
            self._rest -= len(piece)
        else:
            piece = self._begun + piece
            _, end = length_of(piece)
            if not end:
                self._begun = piece
                return False
            self._begun = b""
            self._rest = end - len(piece)
            self.status = status_of(piece)
        return not self._rest


def spread(server: Server, count: int) -> list[Waiting]:
    """So many connections, of which each of the server's processes has as many as the others.

    Left to itself, the one that is quicker to wake up takes them all, or most of them, while the others have nothing to
    do: a server is half as fast for as long as these connections last, and the next time it is not.
    """
    workers = server.workers
    connections: list[Waiting] = []
    for position, worker in enumerate(workers):
        others = [other for other in workers if other is not worker]
        for other in others:
            other.suspend()
        try:
            for _ in range(position, count, len(workers)):
                connections.append(Waiting(server.port))
                _wait_until_taken(worker, connections[-1])
        finally:
            for other in others:
                other.resume()
    return connections


def _wait_until_taken(worker: psutil.Process, connection: Waiting) -> None:
    own = connection.socket.getsockname()
    end = time.monotonic() + PATIENCE
    while all(each.raddr != own for each in worker.net_connections("inet4")):
        if time.monotonic() > end:
            raise RuntimeError(f"the server's process {worker.pid} took no connection within {PATIENCE} s")
        time.sleep(0.001)
