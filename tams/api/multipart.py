"""multipart/form-data, read part by part as it comes in: neither in memory as a whole nor in a temporary file."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from werkzeug.exceptions import RequestEntityTooLarge

from tams.domain.errors import Invalid

_PIECE: Final = 256 * 1024
_DISPOSITION: Final = b"content-disposition"


class Readable(Protocol):
    """Where the body comes from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Multipart:
    """The parts of a body, in order: `next_part` goes on to the next one, `read` gives what is in it.

    `Invalid` where the body is not what it should be, or ends before its end.
    """

    def __init__(self, stream: Readable, boundary: str) -> None:
        self._stream = stream
        # What was parsed and not asked for yet: the name of a part that begins, its bytes, None for its end.
        self._parsed: deque[str | bytes | None] = deque()
        self._in_part = False
        self._ended = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._name = ""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_name,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except (FormParserError, UnicodeEncodeError) as error:
            raise Invalid.field("Content-Type", "the boundary cannot be used") from error

    def next_part(self) -> str | None:
        """The name of the next part, None after the last. What was not read of the part before is passed over."""
        while self._in_part:
            self.read()
        while self._parsed or self._advance():
            begun = self._parsed.popleft()
            if isinstance(begun, str):
                self._in_part = True
                return begun
        return None

    def read(self, _size: int = -1) -> bytes:
        """Some more of the current part, as much as is at hand whatever size is asked for; nothing at its end."""
        while self._in_part and (self._parsed or self._advance()):
            data = self._parsed.popleft()
            if isinstance(data, bytes):
                return data
            self._in_part = False
        return b""

    def read_whole(self, most: int) -> bytes:
        """The rest of the current part; 413 where it takes more than `most` bytes."""
        content = bytearray()
        while piece := self.read():
            content += piece
            if len(content) > most:
                raise RequestEntityTooLarge(f"This part has at most {most} bytes.")
        return bytes(content)

    def _advance(self) -> bool:
        """Parse more of the body until something is at hand; False at its end."""
        while not self._parsed:
            if self._ended:
                return False
            try:
                piece = self._stream.read(_PIECE)
            except OSError as error:
                raise Invalid("nothing was stored: the upload broke off") from error
            if not piece:
                raise Invalid("nothing was stored: the body ends before its last part does")
            try:
                self._parser.write(piece)
            except (FormParserError, UnicodeDecodeError) as error:
                raise Invalid(f"the body is not multipart/form-data: {error}") from error
        return True

    def _on_part_begin(self) -> None:
        self._name = ""

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == _DISPOSITION:
            _, options = parse_options_header(bytes(self._header_value))
            self._name = options.get(b"name", b"").decode()
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        self._parsed.append(self._name)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        # Most often all of the piece: then it is not copied.
        self._parsed.append(data[start:end])

    def _on_part_end(self) -> None:
        self._parsed.append(None)

    def _on_end(self) -> None:
        self._ended = True
