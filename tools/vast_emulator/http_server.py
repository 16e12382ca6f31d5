"""The HTTP/1.1 server in front of the cluster, with a thread for each connection."""

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

# Bytes. Only an uploaded object is as large as this.
_MAX_BODY = 1 << 30


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
        """Bind without looking up the host's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def add_connection(self, connection: socket.socket) -> None:
        """Add a connection to those that `disconnect` closes."""
        with self._lock:
            self._connections.add(connection)

    def remove_connection(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)

    def disconnect(self) -> None:
        """Close all connections."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut_down(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a connection error that the connection's thread did not handle."""
        logger.debug("connection from %s broke: %s", client_address, sys.exception())


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("the connection was closed already")


class _Connection(BaseHTTPRequestHandler):
    """A connection. Each response is written in one piece, at its end."""

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
        self.server.add_connection(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.remove_connection(self.connection)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            logger.debug("the client closed the connection")

    def handle_expect_100(self) -> bool:
        """Flush the interim response: the client waits for it before it sends the body."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def version_string(self) -> str:
        """Return the value of the header `Server`, from which the SDK reads the version of the cluster."""
        return f"vast {self.server.cluster.settings.version}"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the standard library
        logger.debug(format, *args)

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal() or int(length) > _MAX_BODY:
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
            connection=self._number,
            local_address=str(self.connection.getsockname()[0]),
        )
        if admin.is_for_admin(request):
            self._send(Outcome(admin.serve(self.server.cluster, request, str(self.client_address[0]))))
        else:
            self._send(self.server.cluster.serve(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - named by the standard library

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
