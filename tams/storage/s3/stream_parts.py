"""A stream of unknown length, cut into the parts of an upload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from tams.storage.checksums import Verification
from tams.storage.port import TooLarge

_PIECE: Final = 256 * 1024


class StreamParts:
    """The parts of a stream: `part_size` bytes each, the last one shorter.

    Iterating reads the stream to its end, and adds all bytes to `verification`. The first part may be empty. Raises
    `TooLarge` beyond `max_size` bytes.
    """

    def __init__(self, stream: BinaryIO, part_size: int, max_size: int, verification: Verification) -> None:
        self._stream = stream
        self._part_size = part_size
        self._max_size = max_size
        self._verification = verification
        self.size = 0
        """The number of bytes read so far."""
        self.ended = False
        """True once the stream was read to its end."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.ended:
            raise StopIteration
        part = bytearray()
        while len(part) < self._part_size:
            piece = self._stream.read(min(_PIECE, self._part_size - len(part)))
            if not piece:
                self.ended = True
                break
            self.size += len(piece)
            if self.size > self._max_size:
                raise TooLarge(f"an Object may have at most {self._max_size} bytes here")
            self._verification.update(piece)
            part += piece
        if not part and self.size:
            raise StopIteration
        return bytes(part)

    def after(self, first: bytes) -> Iterator[bytes]:
        """Yield all parts, beginning with `first`, which was taken already."""
        yield first
        yield from self
