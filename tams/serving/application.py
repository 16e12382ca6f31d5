"""The store as a gunicorn application: what it sets in gunicorn, and what it changes about it."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from typing_extensions import override

from tams import __version__
from tams.serving.request_body import prepare_body
from tams.serving.request_line import LONGEST_REQUEST_LINE
from tams.serving.sockets import close_idle_connections
from tams.serving.timeouts import IDLE_TIMEOUT, STOP_TIMEOUT

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker

    from tams.config import Settings

logger = logging.getLogger(__name__)

# New containers, less those that are gone, before the garbage collector looks at them. Python's own figure is 700; a
# request of one Flow creates few, a page of a thousand Segments some thousand.
_COLLECTION_THRESHOLD: Final = 10_000


class Application(BaseApplication):
    """The store for gunicorn. `load` runs in each worker, after the fork: no connection crosses it."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self._settings = settings
        self._options = options
        super().__init__(prog="tams")

    @override
    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    @override
    def load(self) -> Any:
        from tams.serving.wsgi_factory import create_application

        return create_application(self._settings)


def gunicorn_settings(settings: Settings) -> dict[str, Any]:
    """Return the gunicorn settings that the store needs, except `bind`, which is up to the caller."""
    return {
        "worker_class": "tams.serving.web_worker.WebWorker",
        "workers": settings.workers,
        # Transfers, and those that wait for their place, have threads besides.
        "threads": settings.threads + 2 * settings.transfers,
        "keepalive": IDLE_TIMEOUT,
        "graceful_timeout": STOP_TIMEOUT,
        "timeout": 60,
        # An Object id of 1024 bytes is 3072 characters in a URL, beside a query with filters and an access token. A
        # page token comes on top: see `HttpRequest`.
        "limit_request_line": LONGEST_REQUEST_LINE,
        # Whether forwarded headers are trusted is decided in one place, `tams.api`, by TAMS_TRUSTED_PROXIES.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        # sendfile() waits for a client without a limit, whatever the timeouts of the socket.
        "sendfile": False,
        "accesslog": None,
        "logger_class": ServerLog,
        "control_socket_disable": True,
        "when_ready": _when_ready,
        "post_worker_init": lambda _worker: settle_garbage_collection(),
        "pre_request": prepare_body,
        "worker_exit": _stop_background_work,
        "on_exit": lambda _arbiter: logger.info("The server has stopped"),
    }


def _when_ready(arbiter: Arbiter) -> None:
    limit_waits_for_clients(arbiter)
    addresses = ", ".join(str(listener) for listener in arbiter.LISTENERS)
    logger.info("TAMS %s listens at %s", __version__, addresses)


def limit_waits_for_clients(arbiter: Arbiter) -> None:
    """Close connections without traffic, on every socket that gunicorn listens on."""
    for listener in arbiter.LISTENERS:
        close_idle_connections(listener.sock)


def settle_garbage_collection() -> None:
    """Exempt the application's own objects from garbage collection, and collect less often.

    A page of a thousand Segments is some thousand objects, none of them in a cycle: by default each page is searched
    several times while it is built.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTION_THRESHOLD)


class ServerLog(Logger):
    """gunicorn's messages in the log and the form of the store. The access line is written by the application."""

    @override
    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)
        self.error_log.addFilter(_is_not_idle_connection)

    @override
    def info(self, msg: object, *args: object, **_options: Any) -> None:
        # Below WARNING only these messages of gunicorn matter to an operator: they say why the server stops.
        if str(msg).startswith("Handling signal"):
            logger.info("The server received SIG%s", str(args[0]).upper())


def _is_not_idle_connection(record: logging.LogRecord) -> bool:
    """Return False for the traceback that gunicorn logs when an idle connection was closed."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, BlockingIOError)


def _stop_background_work(_arbiter: Arbiter, worker: Worker) -> None:
    """Stop the background thread of a web process, if it has one."""
    from tams.serving.wsgi_factory import stop_background_work

    stop_background_work(worker.app.callable, STOP_TIMEOUT)
