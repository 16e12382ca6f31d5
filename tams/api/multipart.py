"""multipart/form-data, parsed as it arrives: a body is held neither in memory as a whole nor in a temporary file.

The parser is python-multipart's, not werkzeug's `MultipartDecoder` (3.1), for three reasons. If a read ends inside the
line of a delimiter, the decoder adds a CR to the part. It takes a boundary after a bare LF for a delimiter. It holds a
body without any delimiter in memory. The first two change media bytes, which tests/api/test_multipart.py would find: it
reads bodies in pieces of any size.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge

from tams.domain.errors import Invalid

_READ_SIZE: Final = 256 * 1024
_DISPOSITION: Final = "Content-Disposition"

MAX_PARTS: Final = 100
"""The maximum number of parts of a body. Each costs callbacks in Python, and none but two are of use."""

MAX_HEADERS: Final = 8
"""The maximum number of headers of a part."""

MAX_HEADER_BYTES: Final = 4096
"""The maximum length of a header of a part."""

MAX_SKIPPED: Final = 1024 * 1024
"""The maximum number of bytes that are skipped: parts that are not read, and what precedes and follows the parts."""


class Readable(Protocol):
    """A stream of the body's bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class Multipart:
    """The parts of a body, in order: `next_part` moves to the next part, `read` returns its bytes.

    `headers` are those of the current part. Each method raises `Invalid` if the body is malformed or ends before its
    last part does, and `RequestEntityTooLarge` if there is too much to skip.
    """

    def __init__(self, stream: Readable, boundary: str) -> None:
        self._stream = stream
        self.headers = Headers()
        # Parsed but not read yet: the headers of a part at its start, its bytes, None at its end.
        self._parsed: deque[Headers | bytes | None] = deque()
        self._delimiter = f"--{boundary}".encode("latin-1", "replace")
        # What arrived before the first delimiter, as long as that is missing.
        self._preamble: bytes | None = b""
        self._part_count = 0
        self._skipped = 0
        self._in_part = False
        self._ended = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._part_headers = Headers()
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
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except (FormParserError, UnicodeEncodeError) as error:
            raise Invalid.field("Content-Type", "the boundary cannot be used") from error

    def next_part(self) -> str | None:
        """Return the name of the next part, or None after the last one. Skips what is unread of the current part."""
        while self._in_part:
            self._skip(len(self.read()))
        while self._parsed or self._advance():
            headers = self._parsed.popleft()
            if isinstance(headers, Headers):
                self._in_part = True
                self.headers = headers
                _, options = parse_options_header(headers.get(_DISPOSITION, "").encode("latin-1"))
                try:
                    return options.get(b"name", b"").decode()
                except UnicodeDecodeError as error:
                    raise Invalid("the name of a part is not UTF-8") from error
        return None

    def finish(self) -> None:
        """Read the body to its end. Call it after the last part."""
        while piece := self._read():
            self._skip(len(piece))

    def read(self, _size: int = -1) -> bytes:
        """Return the next bytes of the current part, as many as are parsed already; nothing at the part's end."""
        while self._in_part and (self._parsed or self._advance()):
            data = self._parsed.popleft()
            if isinstance(data, bytes):
                return data
            self._in_part = False
        return b""

    def read_whole(self, max_bytes: int) -> bytes:
        """Return the rest of the current part.

        Raises:
            RequestEntityTooLarge: the part has more than `max_bytes` bytes.
        """
        content = bytearray()
        while piece := self.read():
            content += piece
            if len(content) > max_bytes:
                raise RequestEntityTooLarge(f"This part has at most {max_bytes} bytes.")
        return bytes(content)

    def _advance(self) -> bool:
        """Parse more of the body; return False at its end."""
        while not self._parsed:
            if self._ended:
                return False
            piece = self._read()
            if not piece:
                raise Invalid("nothing was stored: the body ends before its last part does")
            piece = self._without_preamble(piece)
            try:
                self._parser.write(piece)
            except (FormParserError, UnicodeDecodeError) as error:
                raise Invalid(f"the body is not multipart/form-data: {error}") from error
        return True

    def _read(self) -> bytes:
        try:
            return self._stream.read(_READ_SIZE)
        except OSError as error:
            raise Invalid("nothing was stored: the upload broke off") from error

    def _without_preamble(self, piece: bytes) -> bytes:
        """Return what follows the preamble (RFC 2046, section 5.1.1), which the parser does not know."""
        if self._preamble is None:
            return piece
        searched = max(0, len(self._preamble) - len(self._delimiter) - 2)
        text = self._preamble + piece
        start = text.find(b"\r\n" + self._delimiter, searched)
        if text.lstrip(b"\r\n").startswith(self._delimiter):
            # There is no preamble.
            start = 0
        if start < 0:
            self._skip(len(piece))
            self._preamble = text
            return b""
        self._skip(max(0, start - len(self._preamble)))
        self._preamble = None
        return text[start:]

    def _skip(self, count: int) -> None:
        self._skipped += count
        if self._skipped > MAX_SKIPPED:
            raise RequestEntityTooLarge(f"A form has at most {MAX_SKIPPED} bytes besides segment_data and file.")

    def _on_part_begin(self) -> None:
        self._part_count += 1
        if self._part_count > MAX_PARTS:
            raise Invalid(f"a form has at most {MAX_PARTS} parts")
        self._part_headers = Headers()

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._part_headers.add(self._header_name.decode("latin-1"), self._header_value.decode("latin-1"))
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        self._parsed.append(self._part_headers)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        # Usually the whole piece, which a slice does not copy.
        self._parsed.append(data[start:end])

    def _on_part_end(self) -> None:
        self._parsed.append(None)

    def _on_end(self) -> None:
        self._ended = True
