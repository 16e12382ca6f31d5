"""The store as a user starts it: `tams serve` and `tams worker` in separate processes."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psutil

from tests.support.repository_steps import environment_of
from tests.support.tables import counts, has_open_transactions, miscounted, rows

PATIENCE: Final = 60.0  # seconds
_TAMS: Final = Path(sys.executable).with_name("tams")


def eventually(condition: Callable[[], object], what: str, every: float = 0.05) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(every)


class TamsStore:
    """A store in `home`. After it was stopped or killed it can be started again, with the same data and port."""

    def __init__(self, home: Path, database: str | None = None, **variables: str) -> None:
        """Prepare a store on the empty database with this URL; None means a SQLite file in its data directory."""
        self.home = home
        variables = variables if database is None else environment_of(database) | variables
        self.data = home / "data"
        self.database = database or f"sqlite:///{self.data / 'tams.db'}"
        self.log = home / "tams.log"
        self.port = 0
        self.url = ""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
        self._environment = inherited | {"ENVIRONMENT": "development"} | variables
        self._server: subprocess.Popen[str] | None = None
        self._worker: subprocess.Popen[str] | None = None

    # Processes

    def start(self, *options: str) -> None:
        """Start `tams serve`, and wait until it prints its URL."""
        self._server = self._spawn("serve", "--port", str(self.port), *options)
        assert self._server.stdout is not None
        served = re.search(r"serves (http://127\.0\.0\.1:(\d+))", self._server.stdout.readline())
        assert served, self.log.read_text()
        self.url, self.port = served[1], int(served[2])

    @property
    def pid(self) -> int:
        """The id of the master process of the running server."""
        assert self._server is not None
        return self._server.pid

    def start_worker(self) -> None:
        """Start `tams worker` for a server that was started with `--no-worker`, and wait until it runs."""
        before = self._started_workers()
        self._worker = self._spawn("worker")
        eventually(lambda: self._started_workers() > before, "the worker has started", every=0.005)

    def _started_workers(self) -> int:
        return len(re.findall(r"worker \S+ has started", self.log.read_text()))

    def stop(self) -> None:
        """Ask all processes to end, as Ctrl-C does, and wait for them."""
        for process in (self._worker, self._server):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE) == 0
        self._close()

    def kill(self) -> None:
        """Kill every process in the middle of its work: `kill -9`."""
        for process in (self._worker, self._server):
            if process is not None:
                _kill(process)
        self._close()
        self._settle()

    def kill_worker(self) -> None:
        """Kill `tams worker` alone: `kill -9`."""
        assert self._worker is not None
        _kill(self._worker)
        self._worker = None
        self._settle()

    def limit_files(self, size: int) -> None:
        """Keep the processes of the server from writing beyond `size` bytes of any file, as a full disk does."""
        assert self._server is not None
        for process in psutil.Process(self._server.pid).children(recursive=True):
            process.rlimit(psutil.RLIMIT_FSIZE, (size, size))

    def _settle(self) -> None:
        """Wait until PostgreSQL has ended the statements of killed clients, which it notices only when it answers."""
        if self.database.startswith("postgresql"):
            eventually(lambda: not has_open_transactions(self.database), "no transaction is open", every=0.01)

    def _spawn(self, *arguments: str) -> subprocess.Popen[str]:
        with self.log.open("a") as log:
            return subprocess.Popen(
                [_TAMS, *arguments, "--data-dir", self.data],
                cwd=self.home,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _close(self) -> None:
        if self._server is not None and self._server.stdout is not None:
            self._server.stdout.close()
        self._server = self._worker = None

    # The state that an operator can inspect on the machine

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each table that has any."""
        return counts(self.database)

    def job_kinds(self) -> set[str]:
        """Return the kinds of the jobs that the background worker still has to do."""
        return {row["kind"] for row in rows(self.database, "jobs")}

    def faults(self) -> list[object]:
        """Return the faults of an SQL database: wrong counts of Segments, in SQLite also damage and dead references."""
        faults: list[object] = list(miscounted(self.database))
        if self.database.startswith("sqlite"):
            with closing(sqlite3.connect(self.data / "tams.db", timeout=PATIENCE)) as database:
                faults += [row for row in database.execute("PRAGMA integrity_check") if row != ("ok",)]
                faults += database.execute("PRAGMA foreign_key_check")
        return faults

    def media_files(self) -> list[Path]:
        """Return the files of Objects, and records whose Objects are gone."""
        files = {path for path in (self.data / "media").rglob("*") if path.is_file()}
        files = {path for path in files if ".incoming" not in path.parts}
        return [path for path in files if path.suffix != ".meta" or path.with_suffix("") not in files]

    def unfinished_files(self) -> list[Path]:
        """Return the files of unfinished uploads."""
        return [path for path in (self.data / "media" / ".incoming").iterdir() if path.is_file()]

    def errors(self) -> list[str]:
        """Return the lines of the log that report a fault."""
        return [line for line in self.log.read_text().splitlines() if " ERROR " in line or "Traceback" in line]


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and all its children, which form a process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)


@contextmanager
def faultless(store: TamsStore) -> Iterator[TamsStore]:
    """Start the store, stop it at the end, and check that it logged no error."""
    store.start()
    yield store
    store.stop()
    assert store.errors() == []
