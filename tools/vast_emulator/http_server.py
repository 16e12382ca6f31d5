"""HTTP/1.1 for the cluster, a thread for each connection."""

import itertools
import logging
import socket
import sys
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from tools.vast_emulator import admin
from tools.vast_emulator.cluster import Cluster, Outcome
from tools.vast_emulator.exchange import Request, Response

logger = logging.getLogger(__name__)

# No request is as large but an object that is uploaded.
_MOST_BODY = 1 << 30


class Server(ThreadingHTTPServer):
    """The listening socket, and the connections that it has accepted."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], cluster: Cluster) -> None:
        self.cluster = cluster
        self.numbers = itertools.count(1)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Bind, without asking a name server who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def opened(self, connection: socket.socket) -> None:
        """A connection is served."""
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """A connection is no longer served."""
        with self._lock:
            self._connections.discard(connection)

    def disconnect(self) -> None:
        """Close all connections."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection broke in a way that its thread did not expect."""
        logger.debug("connection from %s broke: %s", client_address, sys.exception())


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("a connection was closed already")


class _Connection(BaseHTTPRequestHandler):
    """One connection. All that is written goes out in one piece, at the end of an answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 20
    rbufsize = 1 << 16
    timeout = 120
    server: Server
    headers: Message
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self._number = next(self.server.numbers)
        self.server.opened(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.closed(self.connection)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            logger.debug("a client went away")

    def handle_expect_100(self) -> bool:
        """The client waits for this before it sends the body, so it must not wait in our buffer."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def version_string(self) -> str:
        """What the SDK reads the version of the cluster from."""
        return f"vast {self.server.cluster.settings.version}"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        logger.debug(format, *args)

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal() or int(length) > _MOST_BODY:
            self.send_error(411)
            self.close_connection = True
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        request = Request(
            self.command,
            self.path,
            {name.lower(): value for name, value in self.headers.items()},
            body,
            self._number,
            str(self.connection.getsockname()[0]),
        )
        if admin.is_for_admin(request):
            self._send(Outcome(admin.serve(self.server.cluster, request, str(self.client_address[0]))))
        else:
            self._send(self.server.cluster.serve(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names are the standard library's

    def _send(self, outcome: Outcome) -> None:
        response = outcome.response
        if response is None:
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        body = self._framed(response)
        self.end_headers()
        if outcome.cut:
            body = body[: len(body) // 2]
            self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _framed(self, response: Response) -> bytes:
        if response.chunks is not None:
            self.send_header("Transfer-Encoding", "chunked")
            return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*response.chunks, b""))
        if "Content-Length" not in response.headers:
            self.send_header("Content-Length", str(len(response.body)))
        return response.body
