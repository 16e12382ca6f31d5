r"""The records beside the files of a local Storage Backend: media type and digest of each version of the bytes.

A file of media holds nothing but the media, so that a web server may serve it. Its records are in a file of the same
name and the suffix `.meta`, to which a line is appended before the bytes get their name:

    \n size modified digest "content type"

`modified` is the time of the last write in nanoseconds, `digest` the SHA-256 in hexadecimal, and the content type a
JSON string. A line that was torn by a full disk is no record, and the line feed before each record keeps the next one
apart. Lines are never removed: whichever upload to a key gets the name last has its record. The file is also the lock
between uploads to one key, for those that depend on what is stored.
Several lines exist only where a client has uploaded several times to the same URL.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SUFFIX: Final = ".meta"
"""The suffix of a file of records."""

_MODE: Final = 0o640
_PIECE: Final = 1024 * 1024
_LINE: Final = re.compile(rb"([0-9]+) ([0-9]+) ([0-9a-f]{64}) (.*)")


class Record(NamedTuple):
    """One version of the bytes: size, time of the last write in nanoseconds, SHA-256, and content type."""

    size: int
    modified: int
    digest: bytes
    content_type: str


def path_of(path: Path) -> Path:
    """Return the path of the records of the media at `path`."""
    return path.with_name(path.name + SUFFIX)


def append(path: Path, record: Record) -> None:
    """Add a record for the media that are about to be at `path`; it survives a power failure.

    Raises OSError.
    """
    content_type = json.dumps(record.content_type)
    line = f"\n{record.size} {record.modified} {record.digest.hex()} {content_type}\n".encode()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    with io.FileIO(os.open(path_of(path), flags, _MODE), "w") as file:
        view = memoryview(line)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other uploads to the media at `path`, which have a record, from being published meanwhile.

    A file system without locks only lets a conditional upload be overtaken.
    """
    with io.FileIO(os.open(path_of(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE), "w") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def find(path: Path, file: io.FileIO) -> Record | None:
    """Return the record of the open file, which is the media at `path`; None if no record fits.

    A copy of the directory may have lost the times of its files. Then the size decides, and the digest if several
    versions have that size.

    Raises OSError.
    """
    try:
        with io.FileIO(os.open(path_of(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)) as records_file:
            content = records_file.read()
    except FileNotFoundError:
        return None
    status = os.fstat(file.fileno())
    versions = _versions(content, b"\n%d %d " % (status.st_size, status.st_mtime_ns))
    if not versions:
        versions = _versions(content, b"\n%d " % status.st_size)
    if len({record.digest for record in versions}) > 1:
        digest = _digest(file, status.st_size)
        versions = [record for record in versions if record.digest == digest]
    return versions[-1] if versions else None


def _versions(content: bytes, beginning: bytes) -> list[Record]:
    """Return the records whose lines have this beginning, in the order of the file."""
    versions: list[Record] = []
    at = content.find(beginning)
    while at >= 0:
        end = content.find(b"\n", at + 1)
        match = _LINE.fullmatch(content[at + 1 : end if end >= 0 else len(content)])
        if match:
            with contextlib.suppress(ValueError):  # torn within the content type
                content_type = str(json.loads(match[4]))
                versions.append(Record(int(match[1]), int(match[2]), bytes.fromhex(match[3].decode()), content_type))
        at = content.find(beginning, at + 1)
    return versions


def _digest(file: io.FileIO, size: int) -> bytes:
    digest = hashlib.sha256()
    for start in range(0, size, _PIECE):
        digest.update(os.pread(file.fileno(), _PIECE, start))
    return digest.digest()
