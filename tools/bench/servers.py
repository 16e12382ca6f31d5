"""The servers that are measured: the store as a user starts it, and the floors with the same gunicorn settings."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

WORKERS, THREADS = 2, 4

_ROOT = Path(__file__).parents[2]
_TIMEOUT = 60.0  # seconds
_KEEPALIVE = 30  # seconds


class Server:
    """A running server, and the resources that its worker processes use."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self.workers = _workers(process.pid)
        """The processes that serve requests."""

    def cpu(self) -> float:
        """Return the CPU seconds, user and system, that the workers have used since they started."""
        times = [worker.cpu_times() for worker in self.workers]
        return sum(cpu_times.user + cpu_times.system for cpu_times in times)

    def memory(self) -> list[tuple[int, int]]:
        """Return the resident and the proportional bytes of each worker; the latter count shared memory in part."""
        infos = [worker.memory_full_info() for worker in self.workers]
        return [(info.rss, info.pss) for info in infos]


@contextmanager
def store(directory: Path, **variables: str) -> Iterator[Server]:
    """Run `tams serve` with its data in `directory`, `variables`, and no other settings than a server needs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    environment = inherited | {"ENVIRONMENT": "production", "LOG_LEVEL": "INFO", "TAMS_AUTH": "none"}
    environment |= variables
    command = [str(Path(sys.executable).with_name("tams")), "serve", "--port", "0", "--data-dir", str(directory)]
    command += ["--workers", str(WORKERS), "--threads", str(THREADS)]
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _started(command, directory.with_suffix(".log"), environment) as process:
        assert process.stdout is not None
        match = re.search(r"serves http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        if match is None:
            raise RuntimeError(f"the store did not start:\n{directory.with_suffix('.log').read_text()[-4000:]}")
        yield Server(process, int(match[1]))


@contextmanager
def floors(plan: Path) -> Iterator[Server]:
    """Run the application of `tools.bench.floors`."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--keep-alive", str(_KEEPALIVE)]
    command += ["--workers", str(WORKERS), "--threads", str(THREADS), "--bind", f"127.0.0.1:{port}", "--no-sendfile"]
    command += [f"tools.bench.floors:make_app({str(plan)!r})"]
    # Run outside the project's directory, whose gunicorn.conf.py configures the store.
    with _started(command, plan.with_suffix(".log"), os.environ | {"PYTHONPATH": str(_ROOT)}, plan.parent) as process:
        yield Server(process, port)


@contextmanager
def _started(
    command: list[str], log: Path, environment: dict[str, str], directory: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _workers(master: int) -> list[psutil.Process]:
    """Return the processes that serve requests: they listen on the socket, the background worker does not."""
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        try:
            children = psutil.Process(master).children()
            workers = [child for child in children if any(c.status == "LISTEN" for c in child.net_connections("inet"))]
        except psutil.NoSuchProcess:
            raise RuntimeError("the server ended while it started") from None
        if len(workers) == WORKERS:
            return workers
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start its {WORKERS} workers within {_TIMEOUT} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
