"""The worker's loop. Any number of workers may run: they share the work by leases, and a killed one loses nothing."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tams.domain.destinations import parse_allowed
from tams.domain.errors import TamsError
from tams.domain.identifiers import new_id
from tams.services.egress import Outbound
from tams.services.store import Store
from tams.worker.allocations import collect_allocations
from tams.worker.byte_deletion import delete_bytes
from tams.worker.copies import copy_instances
from tams.worker.deletions import delete_segments, forget_requests
from tams.worker.deliveries import Deliverer, forget_deliveries
from tams.worker.fan_out import FanOut
from tams.worker.uploads import sweep_uploads

logger = logging.getLogger(__name__)

_IDLE = 1.0
_AFTER_TROUBLE = 5.0
_COPIES_AT_ONCE = 4
_LAST_WAIT = 5.0


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
    deliverer = Deliverer(store, worker, stop)
    fan_out = FanOut(store, worker, stop, deliverer.wake)
    outbound = Outbound(parse_allowed(store.settings.outbound_allow))
    # Events, and whatever waits for Storage Backends, are done beside the rest.
    beside = [
        [_Task("fan-out", fan_out.step, _IDLE / 2)],
        [_Task("deliver", deliverer.step, _IDLE)],
        [
            _Task("delete-bytes", lambda: delete_bytes(store, worker), _IDLE),
            _Task("sweep-uploads", lambda: sweep_uploads(store), 600),
        ],
    ]
    copying = [
        [_Task("copy-instances", lambda: copy_instances(store, outbound, worker), _IDLE * store.repository.patience)]
        for _ in range(_COPIES_AT_ONCE)
    ]
    logger.info("worker %s has started", worker)
    threads = [_start(tasks, stop) for tasks in beside]
    copiers = [_start(tasks, stop, daemon=True) for tasks in copying]
    _repeat(
        [
            _Task("delete-segments", lambda: delete_segments(store, worker), _IDLE),
            _Task("forget-requests", lambda: forget_requests(store, worker), 60),
            _Task("forget-deliveries", lambda: forget_deliveries(store, worker), 5),
            _Task("collect-allocations", lambda: collect_allocations(store), 15),
        ],
        stop,
    )
    for thread in threads:
        thread.join()
    # A copy may take hours, and goes on elsewhere when it ends with this process.
    until = time.monotonic() + _LAST_WAIT
    for thread in copiers:
        thread.join(max(0.0, until - time.monotonic()))
    deliverer.close()
    logger.info("worker %s has stopped", worker)


def _start(tasks: Sequence[_Task], stop: threading.Event, *, daemon: bool = False) -> threading.Thread:
    thread = threading.Thread(target=_repeat, args=(tasks, stop), name=tasks[0].name, daemon=daemon)
    thread.start()
    return thread


def _repeat(tasks: Sequence[_Task], stop: threading.Event) -> None:
    """Do the tasks, one at a time, whenever they are due."""
    while not stop.is_set():
        for task in tasks:
            if not stop.is_set() and time.monotonic() >= task.due:
                task.due = time.monotonic() + _next(task)
        stop.wait(max(0.0, min(task.due for task in tasks) - time.monotonic()))


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
