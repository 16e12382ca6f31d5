"""Digests of bytes in transit, compared with those that the sender announced."""

from __future__ import annotations

import hashlib
import hmac
import time
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, Protocol, cast

from typing_extensions import override

from tams.storage.port import ChecksumMismatch

_PIECE: Final = 256 * 1024
_PAUSE: Final = 0.0001  # seconds


class Digest(Protocol):
    """A digest in progress: the part of `hashlib`'s interface that is used here."""

    def update(self, data: bytes, /) -> None:
        """Add the next bytes."""

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""


class _Crc32(Digest):
    """CRC-32 as in zip and PNG, most significant byte first."""

    def __init__(self) -> None:
        self._value = 0

    @override
    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    @override
    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class _NativeCrc(Digest):
    """A CRC that `awscrt` computes, at many times the speed of a disk."""

    def __init__(self, function: Callable[[bytes, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    @override
    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    @override
    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _PortableCrc(Digest):
    """A reflected CRC with all ones before and after, computed on big integers: some 80 MB/s; a table gives 15.

    The twin of `_NativeCrc` for installations without `awscrt`.

    Bytes read as a little-endian integer of n bits are a polynomial over GF(2): bit i is the coefficient of x^(n-1-i).
    Any multiple of the generator may be added without changing the remainder. Take x^2w plus its remainder, which has
    only terms below x^w; squaring a polynomial over GF(2) just doubles its exponents, so every power-of-two spread of
    it is a multiple too. With the widest that fits, a third of all bits is cleared by one round of shifts.
    """

    def __init__(self, width: int, polynomial: int) -> None:
        self._width = width
        self._ones = self._state = (1 << width) - 1
        self._reflected = int(f"{polynomial:0{width}b}"[::-1], 2)
        remainder = 1
        for _ in range(2 * width):
            remainder <<= 1
            if remainder >> width:
                remainder ^= polynomial | 1 << width
        # The distances from a cleared bit up to the bits that compensate for it: from width + 1 to 2 * width.
        self._distances = [2 * width - term for term in range(width) if remainder >> term & 1]

    @override
    def update(self, data: bytes, /) -> None:
        for start in range(0, len(data), _PIECE):
            self._add(data[start : start + _PIECE])
            # Other threads of the process get their turn. Without a pause, each waits 5 ms for Python's lock.
            time.sleep(_PAUSE)

    def _add(self, data: bytes) -> None:
        value = int.from_bytes(data, "little") ^ self._state
        bits = 8 * len(data)
        spread = 1
        while 6 * self._width * spread <= bits:
            spread *= 2
        while spread:
            clear = self._width * spread
            while 3 * clear <= bits:
                low = value & ((1 << clear) - 1)
                value >>= clear
                for distance in self._distances:
                    value ^= low << distance * spread - clear
                bits -= clear
            spread //= 2
        for _ in range(bits):
            value = value >> 1 ^ (self._reflected if value & 1 else 0)
        self._state = value

    @override
    def digest(self) -> bytes:
        return (self._state ^ self._ones).to_bytes(self._width // 8, "big")


_PORTABLE: Final[Mapping[str, Callable[[], Digest]]] = {
    "crc32c": lambda: _PortableCrc(32, 0x1EDC6F41),
    "crc64nvme": lambda: _PortableCrc(64, 0xAD93D23594C93659),
}


@cache
def _native_function(name: str) -> Callable[[bytes, int], int] | None:
    """Return the function of `awscrt` with that name, or None if this version of it, or all of it, is missing."""
    try:
        from awscrt import checksums
    except ImportError:
        return None
    return cast("Callable[[bytes, int], int] | None", getattr(checksums, name, None))


def _crc(name: str) -> Digest:
    function = _native_function(name)
    return _PORTABLE[name]() if function is None else _NativeCrc(function, SIZES[name])


ALGORITHMS: Final[Mapping[str, Callable[[], Digest]]] = {
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "crc32": _Crc32,
    "crc32c": lambda: _crc("crc32c"),
    "crc64nvme": lambda: _crc("crc64nvme"),
}
"""The algorithms of checksums. The last two are fast with the extra `checksums`."""

# The import of awscrt takes a tenth of a second, so it waits for the first checksum.
SIZES: Final[Mapping[str, int]] = {
    name: len(make().digest()) for name, make in (dict(ALGORITHMS) | dict(_PORTABLE)).items()
}
"""The length of each algorithm's digest, in bytes."""


class Verification:
    """The digests of one stream, to be compared with the expected ones (algorithm to digest)."""

    def __init__(self, expected: Mapping[str, bytes]) -> None:
        self._expected = dict(expected)
        self._digests = {name: ALGORITHMS[name]() for name in expected}

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        for digest in self._digests.values():
            digest.update(data)

    def finish(self) -> None:
        """Raise `ChecksumMismatch` unless the bytes have the expected digests."""
        for name, digest in self._digests.items():
            if not hmac.compare_digest(digest.digest(), self._expected[name]):
                raise ChecksumMismatch(f"the {name} checksum does not match the bytes received")
