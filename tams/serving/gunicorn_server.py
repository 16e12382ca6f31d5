"""The server: gunicorn with threads, and beside its workers one background worker that its master keeps alive."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ParseException

from tams.config import ConfigurationError, Settings

if TYPE_CHECKING:
    from types import FrameType

    from gunicorn.config import Config
    from gunicorn.http.message import Request
    from gunicorn.workers.base import Worker

logger = logging.getLogger(__name__)

# Seconds after which a connection is closed on which nothing moves: between requests, and within one.
IDLE_TIMEOUT: Final = 30
# Seconds that requests, and the background worker, have to end once the server is told to.
STOP_TIMEOUT: Final = 20
# How many containers are made, less those that are gone, before the garbage collector looks at them. Python's own
# figure is 700; a request of one Flow makes few, a page of a thousand Segments some thousand.
_NEW_CONTAINERS: Final = 10_000
# A background worker that lived this many seconds was well: when it ends, the next one starts at once.
_SETTLED: Final = 60
# The most seconds between the starts of background workers that die young.
_LONGEST_PAUSE: Final = 60


class ServerLog(Logger):
    """gunicorn's messages among our own, in the same form. The access line is written by the application."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)
        self.error_log.addFilter(_no_idle_connection)


def _no_idle_connection(record: logging.LogRecord) -> bool:
    """False for the traceback that gunicorn writes when a connection was closed because nothing moved on it."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, BlockingIOError)


def _close_idle_connections(arbiter: Arbiter) -> None:
    """Bound each wait for a client, in the kernel: connections inherit the timeouts of their listening socket.

    gunicorn watches connections only between requests. A read or a write that waits longer raises BlockingIOError.
    """
    timeout = struct.pack("@ll", IDLE_TIMEOUT, 0)
    for listener in arbiter.LISTENERS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)


class _Chunks(ChunkedReader):
    """A body in chunks. What is none breaks off like a connection, and ends it: nobody knows where the body does."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end. `OSError` where they cannot be read."""
        try:
            return super().read(size)
        except ParseException as error:
            self.req.force_close()
            raise OSError(f"malformed chunks: {error}") from error


def _judge_chunks(_worker: Worker, request: Request) -> None:
    """Have malformed chunks be the client's fault: gunicorn's exception would look like one of ours."""
    if request.body is not None and isinstance(request.body.reader, ChunkedReader):
        request.body.reader = _Chunks(request, request.unreader)


def _stop_background_work(_arbiter: Arbiter, worker: Worker) -> None:
    """End what a worker process does besides answering, where it does anything."""
    from tams.serving.wsgi_factory import stop_background_work

    stop_background_work(worker.app.callable, STOP_TIMEOUT)


def settle_garbage_collection() -> None:
    """Have the garbage collector pass over what lives as long as the process, and look less often for the rest.

    A page of a thousand Segments is some thousand objects, none of them in a cycle: by default each page is looked
    through several times while it is made.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_CONTAINERS)


def gunicorn_settings(settings: Settings) -> dict[str, Any]:
    """What the store needs of gunicorn, whoever starts it; `bind` is for whoever does."""
    return {
        "worker_class": "gthread",
        "workers": settings.workers,
        "threads": settings.threads,
        "keepalive": IDLE_TIMEOUT,
        "graceful_timeout": STOP_TIMEOUT,
        "timeout": 60,
        # An object id of 1024 bytes is 3072 characters in a URL, beside a query with filters, a page key and a token.
        "limit_request_line": 8190,
        # Forwarded headers are believed or not in one place, `tams.api`, by TAMS_TRUSTED_PROXIES.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        # sendfile() waits for a client without end, whatever the timeouts of the socket.
        "sendfile": False,
        "accesslog": None,
        "logger_class": ServerLog,
        "control_socket_disable": True,
        "when_ready": _close_idle_connections,
        "post_worker_init": lambda _worker: settle_garbage_collection(),
        "pre_request": _judge_chunks,
        "worker_exit": _stop_background_work,
    }


class _Application(BaseApplication):
    """gunicorn's view of the store. `load` runs in each worker, after the fork: no connection crosses it."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self._settings = settings
        self._options = options
        super().__init__(prog="tams")

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from tams.serving.wsgi_factory import create_application

        return create_application(self._settings)


class _BackgroundProcess:
    """The background worker as a child of gunicorn's master: started, started again when it dies, stopped.

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
        """Start the worker where there is none; after it died not at once, but a second later, then two, four…"""
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
        """Take note of the worker's end. Has to come before the master waits for just any child."""
        if not self._pid:
            return
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return
        self._pid = 0
        if self._stopping:
            return
        lived = time.monotonic() - self._started
        self._pause = 0.0 if lived >= _SETTLED else min(max(1.0, 2 * self._pause), _LONGEST_PAUSE)
        logger.error(
            "The background worker %s ended by itself (exit code %s): starting another one",
            pid,
            os.waitstatus_to_exitcode(status),
        )

    def tell_to_stop(self) -> None:
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
            # Not through the frames of the master, which would go on as a second one.
            logging.shutdown()
            os._exit(code)


class _Master(Arbiter):
    """gunicorn's master, with the background worker among its children."""

    def __init__(self, app: _Application, background: Settings | None) -> None:
        super().__init__(app)
        self._background = _BackgroundProcess(background, self._close_inherited) if background else None

    def manage_workers(self) -> None:
        super().manage_workers()
        if self._background:
            self._background.keep_running()

    def reap_workers(self) -> None:
        if self._background:
            self._background.reap()
        super().reap_workers()

    def stop(self, graceful: bool = True) -> None:
        if self._background:
            self._background.tell_to_stop()
        super().stop(graceful)
        if self._background:
            self._background.wait()

    def handle_int(self) -> None:
        # Ctrl-C is asked for as politely as SIGTERM: the quick way out of gunicorn's threads takes a lock inside a
        # signal handler, and now and then waits for itself.
        self.handle_term()

    def handle_usr2(self) -> None:
        logger.warning("SIGUSR2 is not supported: start a second server behind the proxy instead")

    def _close_inherited(self) -> None:
        for listener in self.LISTENERS:
            listener.close()
        for worker in self.WORKERS.values():
            worker.tmp.close()


def run_worker(settings: Settings, *, master: int | None = None, mask: set[int] | None = None) -> None:
    """Run the background worker in this process until SIGTERM or SIGINT, or until the process `master` is gone.

    `mask` is the signal mask to set once the signals are handled. To be called in the main thread.
    """
    from tams import worker
    from tams.app import open_store

    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

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
    """Stop the worker when its master died without a word, so that no orphan works beside the next server's worker."""
    while os.getppid() == master:
        time.sleep(1)
    stop.set()
    time.sleep(STOP_TIMEOUT)
    os._exit(1)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 is any free one. Raises ConfigurationError where there is none to be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        remedy = (
            "another program listens there: stop it, or name another port with --port"
            if error.errno == errno.EADDRINUSE
            else "name an address of this machine with --host and a port that this user may use with --port"
        )
        raise ConfigurationError(f"Cannot listen on {host} port {port} ({error.strerror}): {remedy}.") from error
    return listener


def base_url(listener: socket.socket) -> str:
    """The URL under which this machine itself reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(settings: Settings, listener: socket.socket, *, with_worker: bool, ready: Callable[[], None]) -> NoReturn:
    """Serve on `listener` until a signal ends it, with the background worker beside where `with_worker`.

    Where only one process may write, that one does both (`one_process`). The data directory and the database have to be
    there already. `ready` is called once connections are accepted.
    """

    def when_ready(arbiter: Arbiter) -> None:
        _close_idle_connections(arbiter)
        ready()

    options = gunicorn_settings(settings) | {"bind": f"fd://{listener.detach()}", "when_ready": when_ready}
    beside = settings if with_worker and not settings.one_writer else None
    _Master(_Application(settings, options), beside).run()
    sys.exit(0)
