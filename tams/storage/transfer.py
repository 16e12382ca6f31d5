"""Bytes from one Storage Backend to another through this process, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject

if TYPE_CHECKING:
    from tams.storage.port import Storage, Stored


def stream_copy(origin: Storage, source: str, destination: Storage, target: str) -> Stored:
    """Copy the bytes and their type. What arrived is compared with the origin's size and with its checksums."""
    stored = origin.head(source)
    if stored is None:
        raise MissingObject(f"there are no bytes under {source}")
    stream = cast("BinaryIO", _Counted(origin.open(source), stored.size))
    return destination.put(target, stream, stored.content_type, checksums=stored.checksums)


def require_same(origin: Storage, source: str, destination: Storage, target: str, before: Stored) -> Stored:
    """What lies at the target of a copy that was made elsewhere, if it is the same as at the source (`before`).

    Digests that both backends keep decide; where they have none in common, both are read. `ChecksumMismatch` otherwise,
    with the target removed.
    """
    after = destination.head(target)
    if after is None:
        raise BackendDown("what was copied is not there")
    common = before.checksums.keys() & after.checksums.keys()
    if before.size == after.size and (
        all(before.checksums[name] == after.checksums[name] for name in common)
        if common
        else _digest(origin.open(source)) == _digest(destination.open(target))
    ):
        return after
    destination.delete(target)
    raise ChecksumMismatch("the bytes that were copied are not those of the source")


def _digest(pieces: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


class _Counted:
    """Pieces as a stream, all of them: `BackendDown` where they end before `size` bytes, or go on beyond."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._left = size
        self._piece = b""

    def read(self, size: int) -> bytes:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                if self._left:
                    raise BackendDown("the bytes of the source end too early")
                return b""
            self._piece = piece
        piece, self._piece = self._piece[:size], self._piece[size:]
        self._left -= len(piece)
        if self._left < 0:
            raise BackendDown("the source has more bytes than it said")
        return piece
