"""Checksums and encodings of a body, which the headers of a request or of a part of a form announce.

Checksums come in S3's headers, and in those of RFC 1864, 3230 and 9530.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import IO, Final

from werkzeug.datastructures import Headers

from tams.domain.errors import Invalid
from tams.storage.checksums import SIZES, Verification

_AMZ: Final = "x-amz-checksum-"
# `Digest` (RFC 3230) and the headers of RFC 9530 name and write the same algorithms differently.
_NAMES: Final = {
    "md5": "md5",
    "sha": "sha1",
    "sha-256": "sha256",
    "crc32c": "crc32c",
}
HEADERS: Final = ("Content-MD5", "Digest", "Content-Digest", "Repr-Digest", *(_AMZ + name for name in SIZES))
"""All headers that may announce a checksum."""

_RFC_3230: Final = re.compile(r"\s*([a-z0-9-]+)=(\S*)\s*", re.ASCII | re.IGNORECASE)
_RFC_9530: Final = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:(.*):\s*", re.ASCII)


def expected_digests(headers: Headers) -> dict[str, bytes]:
    """Return the announced digests by algorithm. Unknown algorithms are ignored, as the RFCs require.

    Raises:
        Invalid: a header is malformed, or two of them contradict each other.
    """
    digests: dict[str, bytes] = {}
    for header, algorithm, text in _announced(headers):
        digest = _decode(header, algorithm, text)
        if digests.setdefault(algorithm, digest) != digest:
            raise Invalid.field(header, f"this {algorithm} checksum contradicts another one of the same request")
    return digests


class VerifiedStream:
    """The bytes of a stream. `finish` compares them with the checksums that the headers announce."""

    def __init__(self, stream: IO[bytes], headers: Headers) -> None:
        self._stream = stream
        self._verification = Verification(expected_digests(headers))

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        piece = self._stream.read(size)
        self._verification.update(piece)
        return piece

    def finish(self) -> None:
        """Raise `ChecksumMismatch` unless the bytes have the announced checksums. Call it at the end of the stream."""
        self._verification.finish()


def verify_content(headers: Headers, content: bytes) -> None:
    """Raise `ChecksumMismatch` unless the content has the checksums that the headers announce."""
    verification = Verification(expected_digests(headers))
    verification.update(content)
    verification.finish()


def refuse_partial_or_encoded(headers: Headers) -> None:
    """Raise `Invalid` unless the body is the whole of the bytes as they are to be stored."""
    if "Content-Range" in headers:
        raise Invalid.field("Content-Range", "an object is uploaded as a whole")
    for name, identity in (
        ("Content-Encoding", {"identity"}),
        # Those of forms that older clients send for bytes as they are (RFC 7578, section 4.7).
        ("Content-Transfer-Encoding", {"identity", "binary", "8bit", "7bit"}),
    ):
        if headers.get(name, "identity").strip().lower() not in identity:
            raise Invalid.field(name, "send the bytes as they are to be stored")


def _announced(headers: Headers) -> Iterator[tuple[str, str, str]]:
    """Yield (header, algorithm, digest in base64)."""
    for name, value in headers.items():
        header = name.lower()
        if header == "content-md5":
            yield name, "md5", value
        elif header.startswith(_AMZ) and header.removeprefix(_AMZ) in SIZES:
            yield name, header.removeprefix(_AMZ), value
        elif header in {"digest", "content-digest", "repr-digest"}:
            notation = _RFC_3230 if header == "digest" else _RFC_9530
            for item in value.split(","):
                match = notation.fullmatch(item)
                if match is None:
                    raise Invalid.field(name, "expected algorithm and checksum, such as sha-256=:…base64…:")
                if algorithm := _NAMES.get(match[1].lower()):
                    yield name, algorithm, match[2]


def _decode(header: str, algorithm: str, text: str) -> bytes:
    try:
        digest = binascii.a2b_base64(text.strip(), strict_mode=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != SIZES[algorithm]:
        raise Invalid.field(header, f"expected the {SIZES[algorithm]} bytes of a {algorithm} checksum in base64")
    return digest
