"""Health of the database and the Storage Backends, checked in the background.

Anyone may ask for it, so that a question reads the latest results and causes no work. Each part is checked in a thread
of its own: one that does not answer holds up neither the others nor a request.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tams.domain.errors import Unavailable, Unusable
from tams.services.store import Store
from tams.storage.port import Storage, StorageError

logger = logging.getLogger(__name__)

INTERVAL: Final = 15.0
"""Seconds between two checks of a part, which only read."""

WRITE_INTERVAL: Final = 300.0
"""Seconds between two checks that write a probe. While a part is down, each check writes one."""

LATE: Final = 15.0
"""Seconds that a check may be late before its part counts as down."""

_FIRST_RESULTS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Report:
    """The state of the store: `down` names the parts that do not work; `is_starting` until the first results."""

    checked: Sequence[str]
    down: Sequence[str]
    is_ready: bool
    is_starting: bool = False


class _Part:
    """The database or a Storage Backend, and the result of its latest check."""

    def __init__(
        self, name: str, read: Callable[[], None], write: Callable[[], None], explain: Callable[[Exception], str]
    ) -> None:
        self.name = name
        self.read = read
        self.write = write
        self.explain = explain
        self.checked_at: float | None = None
        self.problem: str | None = None
        self.write_due = 0.0


class HealthMonitor:
    """Checks the parts of a store every `interval` seconds. It starts when it is first asked, and in a fork again.

    Ready means that the database can be changed, and at least one Storage Backend can be written to. Threads end when
    the monitor is stopped or garbage.
    """

    def __init__(
        self, store: Store, interval: float = INTERVAL, write_interval: float = WRITE_INTERVAL, late: float = LATE
    ) -> None:
        self.store = store
        self._interval = interval
        self._write_interval = write_interval
        self._late = late
        self._lock = threading.Lock()
        self._pid = 0

    def start(self) -> None:
        """Start the checks unless they run in this process, and wait for the first results, two seconds at most."""
        with self._lock:
            if self._pid == os.getpid():
                return
            self._parts = self._list_parts()
            self._started = time.monotonic()
            self._stop = threading.Event()
            self._news = threading.Condition()
            self._pid = os.getpid()
        for part in self._parts:
            threading.Thread(
                target=_keep_checking,
                args=(weakref.ref(self), part, self._interval, self._stop),
                name=f"health of {part.name}",
                daemon=True,
            ).start()
        with self._news:
            self._news.wait_for(lambda: not self._report().is_starting, _FIRST_RESULTS)

    def stop(self) -> None:
        """Let the threads end after their current check."""
        if self._pid == os.getpid():
            self._stop.set()

    def report(self) -> Report:
        """Return the latest results."""
        self.start()
        return self._report()

    def check(self, part: _Part) -> None:
        """Check a part, and log the change if its state is another one than before."""
        problem: str | None = None
        try:
            part.read()
            if part.problem is not None or time.monotonic() >= part.write_due:
                part.write()
                part.write_due = time.monotonic() + self._write_interval
        except (Unavailable, StorageError) as error:
            problem = part.explain(error)
        except Exception as error:
            logger.exception("The check of %s failed", part.name)
            problem = type(error).__name__
        if problem is not None and problem != part.problem:
            logger.warning("%s does not work: %s", part.name, problem)
        elif problem is None and part.problem is not None:
            logger.warning("%s works again", part.name)
        with self._news:
            part.problem = problem
            part.checked_at = time.monotonic()
            self._news.notify_all()

    def _report(self) -> Report:
        now = time.monotonic()
        down: list[str] = []
        working: set[str] = set()
        is_starting = False
        for part in self._parts:
            age = now - (self._started if part.checked_at is None else part.checked_at)
            if part.checked_at is None and age <= self._late:
                is_starting = True
                down.append(f"{part.name} (not checked yet)")
            elif part.checked_at is None or age > self._interval + self._late:
                down.append(f"{part.name} (no result for {age:.0f} s)")
            elif part.problem is not None:
                down.append(part.name)
            else:
                working.add(part.name)
        names = [part.name for part in self._parts]
        is_ready = names[0] in working and len(working) > 1
        return Report(names, down, is_ready, is_starting and not is_ready)

    def _list_parts(self) -> list[_Part]:
        repository = self.store.repository
        database = _Part("database", repository.check, repository.check_writable, _explain_database)
        return [database, *(_storage_part(storage) for storage in self.store.storages.values())]


def _storage_part(storage: Storage) -> _Part:
    name = f"storage {storage.backend.label}"
    return _Part(name, storage.check_reading, storage.check, partial(_explain_storage, storage))


def _explain_database(error: Exception) -> str:
    return f"{error.advice if isinstance(error, Unusable) else error} See `tams db check`."


def _explain_storage(storage: Storage, error: Exception) -> str:
    return f"{storage.diagnosis(error)} See `tams storage check {storage.backend.label}`."


def _keep_checking(
    monitor_of: Callable[[], HealthMonitor | None], part: _Part, interval: float, stop: threading.Event
) -> None:
    while not stop.is_set():
        monitor = monitor_of()
        if monitor is None:
            return
        monitor.check(part)
        # While it waits, the thread must not keep the monitor and its store alive.
        del monitor
        stop.wait(interval)
