"""Files that are whole or not there: how a local Storage Backend writes and reads the bytes of one Object.

A file holds the bytes as they came and behind them a footer with their type and digest, so that one rename makes all of
it visible at once and nothing can come apart in a crash:

    bytes | content type | SHA-256 (32) | size of the bytes (8) | size of the content type (2) | mark (6)
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tams.storage.port import BackendDown, Stored

if TYPE_CHECKING:
    from typing_extensions import Buffer

logger = logging.getLogger(__name__)

LONGEST_TYPE: Final = 0xFFFF
"""Bytes that a content type may have."""

_FOOTER: Final = struct.Struct(">32sQH6s")
_MARK: Final = b"TAMS1\n"
_MODE: Final = 0o640


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turn whatever the operating system refuses into `BackendDown`."""
    try:
        yield
    except OSError as error:
        # The path stays out of the message: it may reach a client.
        reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
        logger.error("The file system failed: %s", error)  # noqa: TRY400 - whoever handles it has the traceback
        raise BackendDown(f"the file system failed ({reason})") from error


class PartialFile:
    """A file on its way in, under a name of its own in `directory` until it is published or discarded."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / secrets.token_hex(16)
        self._digest = hashlib.sha256()
        self._size = 0
        with answering():
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = io.FileIO(os.open(self._path, flags, _MODE), "r+")

    @property
    def size(self) -> int:
        """The bytes written so far."""
        return self._size

    def write(self, piece: bytes) -> None:
        """Append all of the piece."""
        with answering():
            self._write(piece)
        self._digest.update(piece)
        self._size += len(piece)

    def read_back(self) -> bytes:
        """What was written, once more from the file."""
        with answering():
            os.fsync(self._file.fileno())
            return os.pread(self._file.fileno(), self._size, 0)

    def publish(self, target: Path, content_type: str) -> Stored:
        """Give the file its name, replacing what is there, so that it outlasts a power failure from here on."""
        type_bytes = content_type.encode()
        with answering():
            footer = _FOOTER.pack(self._digest.digest(), self._size, len(type_bytes), _MARK)
            self._write(type_bytes + footer)
            os.fsync(self._file.fileno())
            modified = int(os.fstat(self._file.fileno()).st_mtime)
            self._file.close()
            try:
                self._path.rename(target)
            except FileNotFoundError:
                target.parent.mkdir(exist_ok=True)
                sync_directory(target.parent.parent)
                self._path.rename(target)
            sync_directory(target.parent)
        return _stored(self._size, content_type, self._digest.digest(), modified)

    def discard(self) -> None:
        """Leave nothing behind. Harmless after `publish`."""
        # Where even this fails, a sweep finds the file later: the first failure is the one to tell.
        with contextlib.suppress(OSError):
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


class Stretch(io.RawIOBase):
    """A stretch of a file as a stream; closes the file with itself. `BackendDown` where the file is too short.

    It has no file number, so no server uses sendfile(), which waits for a client that reads nothing without end.
    """

    def __init__(self, file: io.FileIO, start: int, length: int) -> None:
        super().__init__()
        self._file = file
        self._rest = length
        with answering():
            file.seek(start)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill the buffer as far as the stretch goes; 0 at its end."""
        room = memoryview(buffer)[: self._rest]
        with answering():
            count = self._file.readinto(room)
        if not count and room:
            raise BackendDown("a file ends before its bytes do")
        self._rest -= count
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_published(path: Path, key: str) -> tuple[io.FileIO, Stored]:
    """The file and what is known of it. FileNotFoundError where there is none, `BackendDown` where it is damaged."""
    # A name that leads elsewhere was not made here.
    file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
    try:
        return file, _read_footer(file, key)
    except BaseException:
        file.close()
        raise


def sync_directory(path: Path) -> None:
    """Make names that were added to or taken from a directory outlast a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_footer(file: io.FileIO, key: str) -> Stored:
    status = os.fstat(file.fileno())
    length = status.st_size
    if stat.S_ISREG(status.st_mode) and length >= _FOOTER.size:
        footer = os.pread(file.fileno(), _FOOTER.size, length - _FOOTER.size)
        digest, size, type_size, mark = _FOOTER.unpack(footer)
        if mark == _MARK and size + type_size + _FOOTER.size == length:
            content_type = os.pread(file.fileno(), type_size, size).decode()
            return _stored(size, content_type, digest, int(status.st_mtime))
    logger.error("The file of key %s is damaged", key)
    raise BackendDown("a file is damaged")


def _stored(size: int, content_type: str, digest: bytes, modified: int) -> Stored:
    return Stored(size, content_type, f'"{digest.hex()}"', modified, {"sha256": digest})
