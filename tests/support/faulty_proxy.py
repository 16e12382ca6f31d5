"""An HTTP proxy in front of a server, which fails the requests that a test chooses."""

from __future__ import annotations

import http.client
import math
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.s3_endpoint import Endpoint

HANG = 30.0  # seconds


@dataclass(frozen=True)
class Step:
    """A request: S3's name of the operation, the storage key, and the names of its headers in lower case."""

    operation: str
    key: str
    headers: frozenset[str]


def operation_of(method: str, target: str, headers: Any) -> Step:
    """Return the operation of S3 that a request asks for."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    _, _, key = parts.path.lstrip("/").partition("/")
    is_copy = "x-amz-copy-source" in headers
    if not key and {"cors", "lifecycle"} & set(query):
        names = {"GET": "get_rules", "PUT": "put_rules"}
    elif not key:
        names = {"GET": "list", "HEAD": "head_bucket", "PUT": "create_bucket"}
    elif "uploads" in query:
        names = {"POST": "create_multipart_upload"}
    elif "uploadId" in query:
        part = "upload_part_copy" if is_copy else "upload_part"
        names = {"PUT": part, "POST": "complete_multipart_upload", "DELETE": "abort_multipart_upload"}
    else:
        put = "copy_object" if is_copy else "put_object"
        names = {"GET": "get_object", "HEAD": "head_object", "PUT": put, "DELETE": "delete_object"}
    return Step(names.get(method, method), key, frozenset(name.lower() for name in headers))


class FaultyProxy:
    """Passes requests on to the server at `target` (host, port), except for those that `failing` chooses.

    With a `certificate` (a PEM file of certificate and key), clients connect by TLS.
    """

    FAULTS = ("500", "reset", "hang", "500 after", "reset after", "hang after")
    """Faults that replace the answer; "after" means that the server has carried the request out. "cut" is a fault too:
    the answer ends in the middle of its body."""

    def __init__(self, target: tuple[str, int], certificate: Path | None = None) -> None:
        self.steps: list[Step] = []
        self._target = target
        self._before: dict[str, Callable[[], Any]] = {}
        self._after: dict[str, Callable[[], Any]] = {}
        self._fault: tuple[str, str, int] | None = None
        self._lock = threading.Lock()
        self._released = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self) -> None:
                proxy.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and release the clients that are left hanging."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def failing(self, operation: str, fault: str, times: int = 10**9) -> Iterator[None]:
        """Fail the operation with this fault, at most `times` times."""
        self._fault = (operation, fault, times)
        try:
            yield
        finally:
            self._fault = None

    def before(self, operation: str, action: Callable[[], Any]) -> None:
        """Run `action` just before each request for the operation is passed on."""
        self._before[operation] = action

    def after(self, operation: str, action: Callable[[], Any]) -> None:
        """Run `action` just before each answer to the operation is passed on."""
        self._after[operation] = action

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        step = operation_of(handler.command, handler.path, handler.headers)
        self.steps.append(step)
        fault = self._next_fault(step)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if fault is None or fault == "cut" or fault.endswith(" after"):
            self._before.get(step.operation, _nothing)()
            answer, content = self._pass_on(handler, body)
            self._after.get(step.operation, _nothing)()
            if fault in (None, "cut"):
                _answer(handler, answer.status, answer.getheaders(), content, len(content) // (2 if fault else 1))
                return
        self._fail(handler, (fault or "").removesuffix(" after"))

    def _next_fault(self, step: Step) -> str | None:
        with self._lock:
            if self._fault is None or self._fault[0] != step.operation or self._fault[2] == 0:
                return None
            operation, fault, times = self._fault
            self._fault = (operation, fault, times - 1)
            return fault

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(*self._target, timeout=HANG)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _fail(self, handler: BaseHTTPRequestHandler, fault: str) -> None:
        handler.close_connection = True
        if fault == "500":
            body = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
            _answer(handler, 500, [("Content-Type", "application/xml")], body)
        elif fault == "reset":
            # Closing with a linger time of 0 resets the connection.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        else:
            self._released.wait(HANG)


def _nothing() -> None:
    """Do nothing: the default action before and after an operation."""


def _answer(
    handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None
) -> None:
    handler.send_response_only(status)
    head = handler.command == "HEAD"
    for name, value in headers:
        if name.lower() not in ("connection", "transfer-encoding") and (head or name.lower() != "content-length"):
            handler.send_header(name, value)
    if not head:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if not head:
        handler.wfile.write(body[:sent])
        handler.close_connection = handler.close_connection or sent not in (None, len(body))
    handler.wfile.flush()


def timeout_for(fault: str, size: int) -> float:
    """Return the seconds that a backend waits for an answer, in a test of this fault with `size` bytes.

    Short only if the fault is a missing answer: 0.25 s, or 0.5 s for bytes that are sent in parts, and up to four times
    as long on a machine with more runnable processes than cores, where answers that come take longer, too.
    """
    if not fault.startswith("hang"):
        return 20
    load = math.ceil(os.getloadavg()[0] / (os.cpu_count() or 1))
    return (0.25 if size < 1_000_000 else 0.5) * min(max(load, 1), 4)


def within(seconds: float, attempt: Callable[[], Any]) -> Any:
    """Return the result of `attempt`; fail if it takes longer than `seconds`."""
    begin = time.monotonic()
    try:
        return attempt()
    finally:
        assert time.monotonic() - begin < seconds


def proxy_before(endpoint: Endpoint, certificate: Path | None = None) -> FaultyProxy:
    """Return a proxy in front of that server."""
    parts = urlsplit(endpoint.url)
    return FaultyProxy((parts.hostname or "", parts.port or 80), certificate)
