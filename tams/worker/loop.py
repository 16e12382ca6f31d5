"""The worker's loop. Any number of workers may run: they share the work by leases, and a killed one loses nothing."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tams.domain.errors import TamsError
from tams.domain.identifiers import new_id
from tams.services.store import Store
from tams.worker.allocations import collect_allocations
from tams.worker.bytes import delete_bytes
from tams.worker.deletions import delete_segments, forget_requests

logger = logging.getLogger(__name__)

_IDLE = 1.0
_AFTER_TROUBLE = 5.0


@dataclass(slots=True)
class _Task:
    """A piece of the work: done again at once while it returns True, otherwise every `every` seconds."""

    name: str
    step: Callable[[], bool]
    every: float
    due: float = 0.0


def run(store: Store, stop: threading.Event) -> None:
    """Work until `stop` is set. Trouble in one task delays that task and is logged; the others go on."""
    worker = f"{socket.gethostname()}-{os.getpid()}-{new_id()[:8]}"
    tasks = [
        _Task("delete-segments", lambda: delete_segments(store, worker), _IDLE),
        _Task("delete-bytes", lambda: delete_bytes(store, worker), _IDLE),
        _Task("forget-requests", lambda: forget_requests(store, worker), 60),
        _Task("collect-allocations", lambda: collect_allocations(store), 15),
    ]
    logger.info("worker %s has started", worker)
    while not stop.is_set():
        for task in tasks:
            if not stop.is_set() and time.monotonic() >= task.due:
                task.due = time.monotonic() + _next(task)
        stop.wait(max(0.0, min(task.due for task in tasks) - time.monotonic()))
    logger.info("worker %s has stopped", worker)


def _next(task: _Task) -> float:
    """Do a step; the seconds until the next one."""
    try:
        return 0.0 if task.step() else task.every
    except TamsError as error:
        logger.warning("task %s was put off: %s", task.name, error)
    except Exception:
        # The worker outlives every fault of a task: the job comes back when its lease ends.
        logger.exception("task %s failed", task.name)
    return _AFTER_TROUBLE
