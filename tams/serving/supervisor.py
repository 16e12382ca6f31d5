"""gunicorn's master process, which also keeps one background worker running."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

from gunicorn.arbiter import Arbiter
from typing_extensions import override

from tams.serving.application import Application, gunicorn_settings, limit_waits_for_clients
from tams.serving.timeouts import STOP_TIMEOUT
from tams.serving.worker_process import run_worker

if TYPE_CHECKING:
    import socket

    from tams.config import Settings

logger = logging.getLogger(__name__)

# A background worker that lived this many seconds was healthy: when it ends, the next one starts at once.
_SETTLED: Final = 60
# Seconds between the starts of background workers that die young, at most.
_LONGEST_PAUSE: Final = 60


def run(settings: Settings, listener: socket.socket, *, with_worker: bool, ready: Callable[[], None]) -> NoReturn:
    """Serve on `listener` until a signal ends it; run the background worker beside it if `with_worker`.

    If only one process may write, that process does the background work itself (`wsgi_factory`). The data directory and
    the database have to exist. `ready` is called once connections are accepted.
    """

    def when_ready(arbiter: Arbiter) -> None:
        limit_waits_for_clients(arbiter)
        ready()

    options = gunicorn_settings(settings) | {"bind": f"fd://{listener.detach()}", "when_ready": when_ready}
    has_worker_process = with_worker and not settings.one_writer
    _Master(Application(settings, options), settings if has_worker_process else None).run()
    sys.exit(0)


class _BackgroundProcess:
    """The background worker as a child of gunicorn's master: started, restarted when it dies, stopped.

    All of it runs in the master's main thread, except `_main`, which is the child.
    """

    def __init__(self, settings: Settings, close_inherited: Callable[[], None]) -> None:
        self._settings = settings
        self._close_inherited = close_inherited
        self._pid = 0
        self._started = 0.0
        self._pause = 0.0
        self._stopping = False

    def keep_running(self) -> None:
        """Start the worker unless it runs; if it keeps dying, wait 1, 2, 4… seconds between the starts."""
        self.reap()
        if self._stopping or self._pid or time.monotonic() < self._started + self._pause:
            return
        self._started = time.monotonic()
        master = os.getpid()
        # A signal that arrives before the child has its own handlers waits for them.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            self._pid = os.fork()
            if self._pid == 0:
                self._main(master, blocked)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def reap(self) -> None:
        """Notice the worker's end. Call it before the master waits for any child."""
        if not self._pid:
            return
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return
        self._pid = 0
        if self._stopping:
            return
        lifetime = time.monotonic() - self._started
        self._pause = 0.0 if lifetime >= _SETTLED else min(max(1.0, 2 * self._pause), _LONGEST_PAUSE)
        logger.error(
            "The background worker %s ended by itself (exit code %s): starting another one",
            pid,
            os.waitstatus_to_exitcode(status),
        )

    def ask_to_stop(self) -> None:
        """Ask the worker to end, and start no other."""
        self._stopping = True
        self.reap()
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)

    def wait(self) -> None:
        """Wait for the worker's end, at most STOP_TIMEOUT seconds; then kill it."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._pid and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.05)
        if self._pid:
            logger.error("The background worker %s does not stop: killing it", self._pid)
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _main(self, master: int, mask: set[int]) -> NoReturn:
        code = 1
        try:
            for inherited in (*Arbiter.SIGNALS, signal.SIGCHLD):
                signal.signal(inherited, signal.SIG_DFL)
            self._close_inherited()
            run_worker(self._settings, master=master, mask=mask)
            code = 0
        except Exception:
            logger.exception("The background worker failed")
        finally:
            # An exception must not pass through the frames of the master, which would go on as a second one.
            logging.shutdown()
            os._exit(code)


class _Master(Arbiter):
    """gunicorn's master, with the background worker among its children."""

    def __init__(self, app: Application, background: Settings | None) -> None:
        super().__init__(app)
        self._background = _BackgroundProcess(background, self._close_inherited) if background else None

    @override
    def manage_workers(self) -> None:
        super().manage_workers()
        if self._background:
            self._background.keep_running()

    @override
    def reap_workers(self) -> None:
        if self._background:
            self._background.reap()
        super().reap_workers()

    @override
    def stop(self, graceful: bool = True) -> None:
        if self._background:
            self._background.ask_to_stop()
        super().stop(graceful)
        if self._background:
            self._background.wait()

    # Ctrl-C stops as gracefully as SIGTERM: gunicorn's quick exit takes a lock inside a signal handler, and
    # occasionally deadlocks with itself.
    @override
    def handle_int(self) -> None:
        self.handle_term()

    @override
    def handle_usr2(self) -> None:
        logger.warning("SIGUSR2 is not supported: start a second server behind the proxy instead")

    def _close_inherited(self) -> None:
        for listener in self.LISTENERS:
            listener.close()
        for worker in self.WORKERS.values():
            worker.tmp.close()
