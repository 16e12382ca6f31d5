"""The load generator: some connections that each ask again as soon as they are answered.

`wrk` where it is installed. Else one process that waits on all its connections at once; it does so little for a
request that it takes a few hundredths of a millisecond of CPU, which is measured and shown with the figures.
"""

from __future__ import annotations

import math
import re
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.performance.http import length_of, request, status_of

CONNECTIONS = 8

_PIECE = 1 << 18
PATIENCE = 30.0  # seconds


class Load(NamedTuple):
    """What came of it. Seconds; `own_cpu` is what the generator itself used, None where it is not known."""

    requests: int
    seconds: float
    p50: float
    p99: float
    own_cpu: float | None


def generator_name() -> str:
    """What makes the load."""
    return "wrk" if shutil.which("wrk") else "Python, one process"


def drive(port: int, path: str, seconds: float) -> Load:
    """GET `path` for so long. `RuntimeError` where an answer is not 200."""
    return _by_wrk(port, path, seconds) if shutil.which("wrk") else _by_python(port, path, seconds)


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value that `part` of the ordered values do not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _by_python(port: int, path: str, seconds: float) -> Load:
    content = request("GET", path)
    latencies: list[float] = []
    now = time.perf_counter
    with selectors.EpollSelector() as selector:
        connections = [Waiting(port) for _ in range(CONNECTIONS)]
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


def _by_wrk(port: int, path: str, seconds: float) -> Load:
    duration = max(1, round(seconds))
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{duration}s", "--latency"]
    url = f"http://127.0.0.1:{port}{path}"
    output = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"not every request for {path} was answered:\n{output}")
    return read_wrk(output)


def read_wrk(output: str) -> Load:
    """The figures in what `wrk --latency` prints."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", output)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s|m)\b", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", output)
    if total is None or p50 is None or p99 is None:
        raise RuntimeError(f"wrk printed something else than expected:\n{output}")
    return Load(int(total[1]), _seconds(total[2], total[3]), _seconds(*p50.groups()), _seconds(*p99.groups()), None)


def _seconds(number: str, unit: str) -> float:
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[unit]
