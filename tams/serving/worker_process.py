"""The background worker as a process."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tams.serving.timeouts import STOP_TIMEOUT

if TYPE_CHECKING:
    from types import FrameType

    from tams.config import Settings

logger = logging.getLogger(__name__)


def run_worker(settings: Settings, *, master: int | None = None, mask: set[int] | None = None) -> None:
    """Run the background worker in this process until SIGTERM or SIGINT, or until the process `master` is gone.

    `mask` is the signal mask to set once the signals are handled. Call it in the main thread.
    """
    from tams import worker
    from tams.app import open_store

    stop = threading.Event()
    # A handler interrupts the main thread anywhere, also where that holds the lock of `stop`, and a second signal
    # interrupts the first handler: only this queue may be used there.
    signals: SimpleQueue[int] = SimpleQueue()

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        signals.put(number)

    def wait_for_signal() -> None:
        name = signal.Signals(signals.get()).name
        logger.info("%s: the background worker %s stops", name, os.getpid())
        stop.set()

    threading.Thread(target=wait_for_signal, name="wait-for-signal", daemon=True).start()
    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if master is not None:
        threading.Thread(target=_watch, args=(master, stop), name="watch-master", daemon=True).start()
    logger.info("The background worker %s runs", os.getpid())
    worker.run(open_store(settings), stop)
    logger.info("The background worker %s has stopped", os.getpid())


def _watch(master: int, stop: threading.Event) -> None:
    """Stop the worker if its master was killed, so that no orphan works beside the next server's worker."""
    while os.getppid() == master:
        time.sleep(1)
    stop.set()
    time.sleep(STOP_TIMEOUT)
    os._exit(1)
