"""The files of a local Storage Backend, each either complete or absent.

A file holds the bytes as they came, followed by a footer with their type and digest. So one rename publishes all of it
at once, and a crash cannot separate the bytes from their metadata:

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

from typing_extensions import override

from tams.storage.port import BackendDown, Stored

if TYPE_CHECKING:
    from typing_extensions import Buffer

logger = logging.getLogger(__name__)

LONGEST_TYPE: Final = 0xFFFF
"""The maximum length of a content type, in bytes."""

_FOOTER: Final = struct.Struct(">32sQH6s")
_MARK: Final = b"TAMS1\n"
_MODE: Final = 0o640


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Turn an error of the operating system into `BackendDown`."""
    try:
        yield
    except OSError as error:
        # The path stays out of the message: it may reach a client.
        reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
        logger.error("The file system failed: %s", error)  # noqa: TRY400 - the handler has the traceback
        raise BackendDown(f"the file system failed ({reason})") from error


class PartialFile:
    """A file being written, under a temporary name in `directory` until it is published or discarded."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / secrets.token_hex(16)
        self._digest = hashlib.sha256()
        self._size = 0
        with answering():
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = io.FileIO(os.open(self._path, flags, _MODE), "r+")

    @property
    def size(self) -> int:
        """Return the number of bytes written so far."""
        return self._size

    def write(self, piece: bytes) -> None:
        """Append the piece."""
        with answering():
            self._write(piece)
        self._digest.update(piece)
        self._size += len(piece)

    def read_back(self) -> bytes:
        """Return what was written, read from the file."""
        with answering():
            os.fsync(self._file.fileno())
            return os.pread(self._file.fileno(), self._size, 0)

    def publish(self, target: Path, content_type: str) -> Stored:
        """Rename the file to `target`, replacing an existing one; from here on it survives a power failure."""
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
        """Delete the file. Do nothing after `publish`."""
        # If even this fails, a sweep finds the file later. The first failure is the one to report.
        with contextlib.suppress(OSError):
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


class Stretch(io.RawIOBase):
    """A range of a file as a stream. Raises `BackendDown` if the file is too short; closes the file with itself.

    It has no file number, so that no server uses sendfile(), which waits forever for a client that stops reading.
    """

    def __init__(self, file: io.FileIO, start: int, length: int) -> None:
        super().__init__()
        self._file = file
        self._remaining = length
        with answering():
            file.seek(start)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        room = memoryview(buffer)[: self._remaining]
        with answering():
            count = self._file.readinto(room)
        if not count and room:
            raise BackendDown("a file is shorter than its footer says")
        self._remaining -= count
        return count

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


def open_published(path: Path, key: str) -> tuple[io.FileIO, Stored]:
    """Return the file, opened for reading, and its metadata.

    Raises:
        FileNotFoundError: there is no such file.
        BackendDown: the file is damaged.
    """
    # A symbolic link was not created by the store.
    file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
    try:
        return file, _read_footer(file, key)
    except BaseException:
        file.close()
        raise


def sync_directory(path: Path) -> None:
    """Make additions and removals of names in a directory survive a power failure."""
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
