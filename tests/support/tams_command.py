"""The `tams` command as users start it, in separate processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

PATIENCE = 60  # seconds


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    return inherited | {"ENVIRONMENT": "development"} | variables


def tams(*arguments: str, cwd: Path, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tams.commands.main", *arguments],
        cwd=cwd,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def assert_refused(process: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command failed with one sentence on stderr, which has these words, and with exit code 2."""
    assert process.returncode == 2, process.stderr
    assert len(process.stderr.splitlines()) == 1, process.stderr
    assert process.stderr.startswith("tams: ")
    for word in words:
        assert word in process.stderr


def eventually(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Server:
    """A running `tams serve`."""

    def __init__(self, cwd: Path, *arguments: str, **variables: str) -> None:
        self.log = cwd / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tams.commands.main", "serve", "--port", "0", *arguments],
                cwd=cwd,
                env=environment(**variables),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.banner = [self.process.stdout.readline() for _ in range(5)]
        served = re.search(r"serves (http://\S+)", self.banner[0])
        assert served, self.log.read_text()
        self.url = served[1]
        eventually(lambda: len(self.children()) >= 2, "workers start")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def worker_ids(self) -> list[int]:
        """Return the process ids of all background workers so far, the latest last."""
        return [int(pid) for pid in re.findall(r"background worker (\d+) runs", self.log.read_text())]

    def status(self, path: str) -> int:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return int(answer.status)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)
