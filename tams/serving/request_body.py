"""The bodies of requests: when their clients are asked to send them, and what becomes of a rest that stays unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gunicorn.http.message import Request
    from gunicorn.workers.base import Worker

# gunicorn discards a short rest of a body to keep the connection. It does so in the request's thread.
_KEPT_REST: Final = 16 * 1024
_BODY: Final = "wsgi.input"


class _Reader(Protocol):
    """The interface of gunicorn's readers."""

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""


class Chunks(ChunkedReader):
    """Chunked body. A malformed chunk is handled as a dropped connection, because the body's end cannot be located."""

    # Raises OSError where gunicorn raises ParseException.
    @override
    def read(self, size: int) -> bytes:
        try:
            return super().read(size)
        except ParseException as error:
            self.req.force_close()
            raise OSError(f"malformed chunks: {error}") from error


class RequestedBody(_Reader):
    """A body that its client sends after `100 Continue`, which is sent when the body is first read.

    gunicorn sends it before the application sees the request, and so asks for bodies that will be refused.
    """

    # gunicorn's type stubs lack these attributes.
    def __init__(self, request: Any, reader: _Reader) -> None:
        self._request = request
        self._reader = reader
        self._expects = request._expected_100_continue and self._is_unread(0)
        request._expected_100_continue = False

    @override
    def read(self, size: int) -> bytes:
        if self._expects:
            self._expects = False
            self._request.unreader.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._reader.read(size)

    def end(self) -> None:
        """Close the connection after the answer, and say so in it, if much of the body is unread or was never sent."""
        # A client that did not get its 100 may send the body or leave it out: where the next request begins is unknown.
        if self._expects or self._is_unread(_KEPT_REST):
            self._expects = False
            self._request.force_close()

    def _is_unread(self, rest: int) -> bool:
        """Return True if more than `rest` bytes are unread, or if that is unknown."""
        if isinstance(self._reader, LengthReader):
            return self._reader.length > rest
        return isinstance(self._reader, ChunkedReader) and self._reader.parser is not None


def prepare_body(_worker: Worker, request: Request) -> None:
    """Replace the reader of the request's body. Called before gunicorn builds the environment of the request."""
    body = request.body
    if body is None:
        return
    if isinstance(body.reader, ChunkedReader):
        # gunicorn's exception would look like a fault of the store.
        body.reader = Chunks(request, request.unreader)
    body.reader = cast("LengthReader", RequestedBody(request, body.reader))


def end_bodies(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application, which decides with the start of each answer whether the connection can be kept."""

    def run(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reader = getattr(environ[_BODY], "reader", None)

        def start(*arguments: Any) -> Any:
            if isinstance(reader, RequestedBody):
                reader.end()
            return start_response(*arguments)

        return application(environ, start)

    return run
