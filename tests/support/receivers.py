"""Servers that the store sends requests to. They are threads, so that a test can inspect the requests."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

Answer = Callable[[socket.socket], None]


class Receiver:
    """Listens on an address, and hands each connection to `answer`."""

    def __init__(self, address: str, answer: Answer, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server((address, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        # A thread that waits in accept() keeps the socket open unless it is woken.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                while request := read_request(connection):
                    # The head first: a test that sees the body then finds the head as well.
                    self.heads.append(request[0])
                    self.bodies.append(request[1])
                    self._answer(connection)
            except OSError:
                return


@contextmanager
def receiver(
    answer: Answer, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Run a receiver."""
    server = Receiver(address, answer, port, tls)
    try:
        yield server
    finally:
        server.close()


def read_request(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """Read a request; return its head and body, or None if the peer closed the connection."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(65536)
        if not piece:
            return None
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return head, body


def answering(status: str = "200 OK", body: bytes = b"ok", headers: str = "") -> Answer:
    """Return an `answer` for `Receiver` that sends a response with this status and body."""
    response = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
    return lambda connection: connection.sendall(response)
