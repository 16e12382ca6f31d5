"""The web process: gunicorn's worker with threads, and what the store changes about it."""

from __future__ import annotations

import errno
import logging
import os
import select
import time
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from gunicorn.http import errors as refusals
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker
from typing_extensions import override

from tams.serving.lingering import Lingerer
from tams.serving.request_body import end_bodies
from tams.serving.request_line import HttpRequestParser

if TYPE_CHECKING:
    import socket
    from concurrent.futures import Future

    from gunicorn.http.message import Request

logger = logging.getLogger(__name__)

_NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE: Final = 0.5  # seconds without accepting, if a connection cannot even be refused
_RECOVERED_AFTER: Final = 5.0  # seconds without a refusal
_RETRY_AFTER: Final = 5  # seconds

# What clients and the log are told. gunicorn's own messages repeat what was sent, which may hold a token.
_BAD_REQUEST: Final = (HTTPStatus.BAD_REQUEST, "The request is not valid HTTP")
_REFUSALS: Final[tuple[tuple[type[Exception], HTTPStatus, str], ...]] = (
    (refusals.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "The URL is longer than the server accepts"),
    (
        refusals.LimitRequestHeaders,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The headers are more or longer than the server accepts",
    ),
    (refusals.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "Expect: only 100-continue is understood"),
    (
        refusals.UnsupportedTransferCoding,
        HTTPStatus.NOT_IMPLEMENTED,
        "Transfer-Encoding: only chunked is understood",
    ),
    (refusals.InvalidRequestMethod, HTTPStatus.BAD_REQUEST, "The method is not valid HTTP"),
    (refusals.InvalidHTTPVersion, HTTPStatus.BAD_REQUEST, "The HTTP version is missing or is not 1.0 or 1.1"),
    (
        refusals.InvalidRequestLine,
        HTTPStatus.BAD_REQUEST,
        "The request line is not valid HTTP: a URL has to be percent-encoded ASCII",
    ),
    (refusals.ObsoleteFolding, HTTPStatus.BAD_REQUEST, "A header continues on a second line, which HTTP/1.1 forbids"),
    (refusals.InvalidHeaderName, HTTPStatus.BAD_REQUEST, "The name of a header is not valid HTTP"),
    (refusals.InvalidHeader, HTTPStatus.BAD_REQUEST, "A header is not valid HTTP"),
    (refusals.ParseException, *_BAD_REQUEST),
)


class WebWorker(ThreadWorker):
    """A web process.

    It refuses malformed requests in the form of the store, survives a lack of descriptors, and lets clients read the
    answers to requests that were refused while their bodies were arriving.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reserve: int | None = None
        self._accept_after = 0.0
        self._refused = 0
        self._refused_at = 0.0

    @override
    def init_process(self) -> None:
        self._keep_reserve()
        self._lingerer = Lingerer(lambda: self.method_queue.defer(self._count_closed))
        super().init_process()

    @override
    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = end_bodies(self.wsgi)

    @override
    def set_accept_enabled(self, enabled: bool | None) -> None:
        if not enabled or time.monotonic() >= self._accept_after:
            super().set_accept_enabled(enabled)

    @override
    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, or refuse it if the process has no file descriptor left.

        gunicorn's worker ends in this case, and takes the requests under way with it.
        """
        try:
            connection, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                self._refuse(listener)
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        self._note_recovery()
        self.nr_conns += 1
        connection.setblocking(True)
        self.enqueue_req(_Connection(self.cfg, connection, address, listener.getsockname()))

    # gunicorn waits in the thread that accepts connections, and discards 64 KiB at most.
    @override
    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        if self.cfg.is_ssl or fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self._lingerer.close(conn.sock)

    def _count_closed(self) -> None:
        self.nr_conns -= 1

    @override
    def handle_error(self, req: Request | None, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that did not reach the application, in the form of all errors of the store."""
        from tams.api.errors import error_body

        request_id = token_hex(16)
        address = addr[0] if addr else "unix"
        status, sentence = _refusal(exc)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            # The target is left out, because its query may hold a token.
            logger.error("request %s from %s failed in the server", request_id, address, exc_info=exc)
        else:
            logger.warning("request %s from %s was refused with %d: %s", request_id, address, status, sentence)
        body = error_body(_KINDS.get(status, "BadRequest"), sentence, request_id)
        with suppress(OSError):
            client.sendall(_response(status, body, request_id))

    def _refuse(self, listener: socket.socket) -> None:
        """Answer the next connection with 503 by means of the reserved descriptor; without one, wait a moment."""
        from tams.api.errors import error_body

        if not self._refused:
            logger.error(
                "This process has no file descriptor left: new connections are refused with 503. "
                "Raise the limit of open files (ulimit -n, LimitNOFILE= in systemd)"
            )
        self._refused += 1
        self._refused_at = time.monotonic()
        if self._reserve is None:
            self._pause()
            return
        os.close(self._reserve)
        self._reserve = None
        try:
            connection, _ = listener.accept()
        except OSError:
            self._pause()
        else:
            with connection, suppress(OSError):
                request_id = token_hex(16)
                body = error_body("Unavailable", "The server has too many connections; try again.", request_id)
                connection.setblocking(False)
                connection.send(_response(HTTPStatus.SERVICE_UNAVAILABLE, body, request_id))
                # Closing with unread bytes would reset the connection, and the answer with it.
                connection.recv(65536)
        self._keep_reserve()

    def _pause(self) -> None:
        self._accept_after = time.monotonic() + _PAUSE
        self.set_accept_enabled(False)

    def _keep_reserve(self) -> None:
        if self._reserve is None:
            with suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _note_recovery(self) -> None:
        self._keep_reserve()
        if self._refused and time.monotonic() - self._refused_at > _RECOVERED_AFTER:
            logger.info("File descriptors are free again; %s connections were refused meanwhile", self._refused)
            self._refused = 0


class _Connection(TConn):
    """A connection that reads the store's kind of request.

    It waits for its first bytes without a descriptor of its own; gunicorn's selector needs one.
    """

    @override
    def init(self) -> None:
        super().init()
        if type(self.parser) is RequestParser:
            unreader = self.parser.unreader
            self.parser = HttpRequestParser(self.cfg, self.sock, self.client)
            self.parser.unreader = unreader

    @override
    def wait_for_data(self, timeout: float | None) -> bool:
        if not self.data_ready:
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            self.data_ready = bool(poll.poll(None if timeout is None else timeout * 1000))
        return bool(self.data_ready)


_KINDS: Final = {
    HTTPStatus.REQUEST_URI_TOO_LONG: "RequestURITooLarge",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "RequestHeaderFieldsTooLarge",
    HTTPStatus.EXPECTATION_FAILED: "ExpectationFailed",
    HTTPStatus.NOT_IMPLEMENTED: "NotImplemented",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalServerError",
}


def _refusal(error: BaseException) -> tuple[HTTPStatus, str]:
    """Return the status and the sentence for what gunicorn raised."""
    for kind, status, sentence in _REFUSALS:
        if isinstance(error, kind):
            return status, sentence
    return HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; its log has the cause under the request id."


def _response(status: HTTPStatus, body: bytes, request_id: str) -> bytes:
    retry = f"Retry-After: {_RETRY_AFTER}\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-ID: {request_id}\r\nCache-Control: no-store\r\n{retry}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
