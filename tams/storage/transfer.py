"""Copies from one Storage Backend to another through this process, and the comparison of copies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject

if TYPE_CHECKING:
    from tams.storage.port import Storage, Stored


def stream_copy(origin: Storage, source: str, destination: Storage, target: str) -> Stored:
    """Copy the bytes and their type in bounded memory; compare the copy with the origin's size and checksums.

    Raises:
        MissingObject: the source has no bytes.
        ChecksumMismatch: the bytes differ from the origin's checksums.
        BackendDown: a backend does not answer, or the source is not as long as it said.
    """
    stored = origin.head(source)
    if stored is None:
        raise MissingObject(f"there are no bytes under {source}")
    stream = cast("BinaryIO", _CheckedStream(origin.open(source), stored.size))
    return destination.put(target, stream, stored.content_type, checksums=stored.checksums)


def require_same(origin: Storage, source: str, destination: Storage, target: str, before: Stored) -> Stored:
    """Return the metadata of a copy that a server made, after comparing it with the source (`before`).

    Compares digests that both backends keep, or reads both if they keep none in common.

    Raises:
        ChecksumMismatch: the copy differs; it was deleted.
        BackendDown: the copy does not exist.
    """
    after = destination.head(target)
    if after is None:
        raise BackendDown("the copy is missing")
    common = before.checksums.keys() & after.checksums.keys()
    if before.size == after.size and (
        all(before.checksums[name] == after.checksums[name] for name in common)
        if common
        else _digest(origin.open(source)) == _digest(destination.open(target))
    ):
        return after
    destination.delete(target)
    raise ChecksumMismatch("the copied bytes differ from those of the source")


def _digest(pieces: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


class _CheckedStream:
    """A stream of pieces that raises `BackendDown` unless they are `size` bytes in all."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._remaining = size
        self._piece = b""

    def read(self, size: int) -> bytes:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                if self._remaining:
                    raise BackendDown("the source has fewer bytes than it said")
                return b""
            self._piece = piece
        piece, self._piece = self._piece[:size], self._piece[size:]
        self._remaining -= len(piece)
        if self._remaining < 0:
            raise BackendDown("the source has more bytes than it said")
        return piece
