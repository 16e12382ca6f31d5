"""HTTP/1.1 over a plain socket: only what the load generator needs, so that it costs little itself."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, NamedTuple, Self

_PIECE = 1 << 18
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Response(NamedTuple):
    """The response of a server."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        """Return the parsed JSON body."""
        return json.loads(self.body)


def request(method: str, path: str, body: Any = None) -> bytes:
    """Return the bytes of a request; `body`, if given, is sent as JSON."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def length_of(start: bytes) -> tuple[int, int]:
    """Return where the body of a response starts and ends, from the response's first bytes.

    Return (0, 0) if the head is incomplete.
    """
    head = start.find(_HEAD_END)
    if head < 0:
        return 0, 0
    position = start[:head].lower().find(_LENGTH)
    length = 0 if position < 0 else int(start[position + len(_LENGTH) : start.index(b"\r\n", position)])
    return head + 4, head + 4 + length


def status_of(start: bytes) -> int:
    """Return the status code of a response."""
    return int(start[9:12])


class Connection:
    """A kept-alive connection for one request at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def exchange(self, content: bytes) -> Response:
        """Send a request and read the response."""
        self._socket.sendall(content)
        response = bytearray()
        body = end = 0
        while not end or len(response) < end:
            piece = self._socket.recv(_PIECE)
            if not piece:
                raise ConnectionError("the server closed the connection before its response was complete")
            response += piece
            if not end:
                body, end = length_of(bytes(response))
        head = bytes(response[:body])
        return Response(status_of(head), head, bytes(response[body:]))

    def expect(self, status: int, method: str, path: str, body: Any = None) -> Response:
        """Send a request and read the response, whose status must be `status`."""
        response = self.exchange(request(method, path, body))
        if response.status != status:
            raise RuntimeError(f"{method} {path} was answered with {response.status}: {response.body[:500]!r}")
        return response
