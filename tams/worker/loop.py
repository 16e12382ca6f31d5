"""The worker's loop. Any number of workers may run: they share jobs by leases, and a killed worker loses no job."""

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
from tams.services.egress import Egress
from tams.services.store import Store
from tams.worker.copies import copy_instances
from tams.worker.deletion import collect_allocations, delete_bytes, delete_segments, forget_requests, sweep_uploads
from tams.worker.deliveries import Deliverer, forget_deliveries
from tams.worker.fan_out import FanOut

logger = logging.getLogger(__name__)

# Seconds.
_IDLE = 1.0
_AFTER_ERROR = 5.0
_LAST_WAIT = 5.0

_CONCURRENT_COPIES = 4


@dataclass(slots=True)
class _Task:
    """A step that is repeated: at once while it returns True, otherwise after `interval` seconds."""

    name: str
    step: Callable[[], bool]
    interval: float
    due: float = 0.0


class _Faults:
    """The faults that tasks wait for, by their text: each is reported once, however many tasks run into it.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[int]] = {}

    def begin(self, task: _Task, fault: str) -> bool:
        """Note that a task ran into the fault; return True if it is to be reported."""
        with self._lock:
            is_new = fault not in self._waiting
            self._waiting.setdefault(fault, set()).add(id(task))
            return is_new

    def end(self, task: _Task) -> list[str]:
        """Note that a task succeeded; return the faults that no task waits for any more."""
        if not self._waiting:
            return []
        with self._lock:
            for tasks in self._waiting.values():
                tasks.discard(id(task))
            over = [fault for fault, tasks in self._waiting.items() if not tasks]
            for fault in over:
                del self._waiting[fault]
            return over


def run(store: Store, stop: threading.Event) -> None:
    """Work until `stop` is set. An error in one task is logged and delays that task only."""
    worker = f"{socket.gethostname()}-{os.getpid()}-{new_id()[:8]}"
    deliverer = Deliverer(store, worker, stop)
    fan_out = FanOut(store, worker, stop, deliverer.wake)
    egress = Egress(parse_allowed(store.settings.outbound_allow))
    # Events, and tasks that wait for Storage Backends, have threads of their own.
    threaded = [
        [_Task("fan-out", fan_out.step, _IDLE / 2)],
        [_Task("deliver", deliverer.step, _IDLE)],
        [
            _Task("delete-bytes", lambda: delete_bytes(store, worker), _IDLE),
            _Task("sweep-uploads", lambda: sweep_uploads(store), 600),
        ],
    ]
    copiers = [
        [_Task("copy-instances", lambda: copy_instances(store, egress, worker), _IDLE * store.repository.patience)]
        for _ in range(_CONCURRENT_COPIES)
    ]
    faults = _Faults()
    logger.info("worker %s has started", worker)
    threads = [_start(tasks, stop, faults) for tasks in threaded]
    copy_threads = [_start(tasks, stop, faults, daemon=True) for tasks in copiers]
    _repeat(
        [
            _Task("delete-segments", lambda: delete_segments(store, worker), _IDLE),
            _Task("forget-requests", lambda: forget_requests(store, worker), 60),
            _Task("forget-deliveries", lambda: forget_deliveries(store, worker), 5),
            _Task("collect-allocations", lambda: collect_allocations(store), 15),
        ],
        stop,
        faults,
    )
    for thread in threads:
        thread.join()
    # A copy may take hours. If it ends with this process, another worker starts it again.
    deadline = time.monotonic() + _LAST_WAIT
    for thread in copy_threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    deliverer.close()
    logger.info("worker %s has stopped", worker)


def _start(tasks: Sequence[_Task], stop: threading.Event, faults: _Faults, *, daemon: bool = False) -> threading.Thread:
    thread = threading.Thread(target=_repeat, args=(tasks, stop, faults), name=tasks[0].name, daemon=daemon)
    thread.start()
    return thread


def _repeat(tasks: Sequence[_Task], stop: threading.Event, faults: _Faults) -> None:
    """Run the tasks, one at a time, whenever they are due."""
    while not stop.is_set():
        for task in tasks:
            if not stop.is_set() and time.monotonic() >= task.due:
                task.due = time.monotonic() + _run_step(task, faults)
        stop.wait(max(0.0, min(task.due for task in tasks) - time.monotonic()))


def _run_step(task: _Task, faults: _Faults) -> float:
    """Run one step; return the seconds until the next one."""
    try:
        again = task.step()
    except TamsError as error:
        if faults.begin(task, str(error)):
            logger.warning("background work waits, and is tried again every %g s: %s", _AFTER_ERROR, error)
        return _AFTER_ERROR
    except Exception as error:
        # The worker has to survive every error of a task. The job comes back when its lease ends.
        if faults.begin(task, repr(error)):
            logger.exception("task %s failed, and is tried again every %g s", task.name, _AFTER_ERROR)
        return _AFTER_ERROR
    for fault in faults.end(task):
        logger.info("background work goes on; this is over: %s", fault)
    return 0.0 if again else task.interval
