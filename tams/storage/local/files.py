"""The files of a local Storage Backend, each either complete or absent.

A file holds exactly the bytes of the media. Their type and digest are recorded beside it (`records`) before the file
gets its name, so one rename publishes both at once, and a crash cannot separate the bytes from their metadata.

Version 0.1.0 recorded type and digest in a footer of the file instead. Such files are still read:

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from tams.domain.content_types import sendable_type
from tams.storage.local import records
from tams.storage.local.records import Record
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

    def publish(
        self, target: Path, content_type: str, condition: Callable[[Stored | None], None] | None = None
    ) -> Stored:
        """Rename the file to `target`, replacing an existing one; from here on it survives a power failure.

        `condition` is called with what is stored there, and nothing else is published between it and the renaming. Its
        exception passes through.
        """
        with answering():
            os.fsync(self._file.fileno())
            modified = os.fstat(self._file.fileno()).st_mtime_ns
            self._file.close()
            record = Record(self._size, modified, self._digest.digest(), content_type)
            try:
                records.append(target, record)
            except FileNotFoundError:
                target.parent.mkdir(exist_ok=True)
                sync_directory(target.parent.parent)
                records.append(target, record)
            with records.locked(target):
                if condition is not None:
                    condition(_published(target))
                self._path.rename(target)
            sync_directory(target.parent)
        return _stored(record)

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
            raise BackendDown("a file is shorter than its record says")
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
    while True:
        # A symbolic link was not created by the store.
        file = io.FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        try:
            stored = _describe(path, file)
            if stored is not None:
                return file, stored
            # The record was deleted, too, if the file was deleted after it was opened.
            if os.path.samestat(path.lstat(), os.fstat(file.fileno())):
                logger.error("The file of key %s is damaged", key)
                raise BackendDown("a file is damaged")
        except BaseException:
            file.close()
            raise
        file.close()


def remove_published(path: Path) -> bool:
    """Delete the file and its records, durably. Return False if there was no file.

    Raises OSError.
    """
    removed = [_unlink(path), _unlink(records.path_of(path))]
    if any(removed):
        sync_directory(path.parent)
    return removed[0]


def _published(path: Path) -> Stored | None:
    """Return the metadata of the file at `path`, or None if there is none."""
    try:
        file, stored = open_published(path, path.name)
    except FileNotFoundError:
        return None
    file.close()
    return stored


def sync_directory(path: Path) -> None:
    """Make additions and removals of names in a directory survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _describe(path: Path, file: io.FileIO) -> Stored | None:
    """Return the metadata of the open file, which is at `path`; None if it is damaged."""
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return None
    record = records.find(path, file)
    return _read_footer(file) if record is None else _stored(record)


def _read_footer(file: io.FileIO) -> Stored | None:
    status = os.fstat(file.fileno())
    length = status.st_size
    if length >= _FOOTER.size:
        footer = os.pread(file.fileno(), _FOOTER.size, length - _FOOTER.size)
        digest, size, type_size, mark = _FOOTER.unpack(footer)
        if mark == _MARK and size + type_size + _FOOTER.size == length:
            content_type = os.pread(file.fileno(), type_size, size).decode()
            return _stored(Record(size, status.st_mtime_ns, digest, content_type))
    return None


def _stored(record: Record) -> Stored:
    digest = record.digest
    # Earlier versions stored types that no answer can carry.
    content_type = sendable_type(record.content_type)
    return Stored(record.size, content_type, f'"{digest.hex()}"', record.modified // 1_000_000_000, {"sha256": digest})
