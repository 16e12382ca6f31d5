"""HTTP/1.1 over a plain socket: as little as a load generator needs, so that it costs little itself."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, NamedTuple, Self

_PIECE = 1 << 18
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


def request(method: str, path: str, body: Any = None) -> bytes:
    """The bytes of a request; a body that is given is sent as JSON."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def length_of(begun: bytes) -> tuple[int, int]:
    """Where the body begins and where the answer ends, from the beginning of it. (0, 0) where the head is not whole."""
    head = begun.find(_HEAD_END)
    if head < 0:
        return 0, 0
    position = begun[:head].lower().find(_LENGTH)
    length = 0 if position < 0 else int(begun[position + len(_LENGTH) : begun.index(b"\r\n", position)])
    return head + 4, head + 4 + length


def status_of(begun: bytes) -> int:
    """The status code of an answer."""
    return int(begun[9:12])


class Connection:
    """One kept-alive connection; one request at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def exchange(self, content: bytes) -> Answer:
        """Send a request and read the answer."""
        self._socket.sendall(content)
        answer = bytearray()
        body = end = 0
        while not end or len(answer) < end:
            piece = self._socket.recv(_PIECE)
            if not piece:
                raise ConnectionError("the server closed the connection before its answer was whole")
            answer += piece
            if not end:
                body, end = length_of(bytes(answer))
        head = bytes(answer[:body])
        return Answer(status_of(head), head, bytes(answer[body:]))

    def expect(self, status: int, method: str, path: str, body: Any = None) -> Answer:
        """The same for a request that has to be answered with that status."""
        answer = self.exchange(request(method, path, body))
        if answer.status != status:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {answer.body[:500]!r}")
        return answer
