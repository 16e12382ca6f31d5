"""Checksums of a body that its request announces: in S3's headers, and in those of RFC 1864, 3230 and 9530."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final

from werkzeug.datastructures import Headers

from tams.domain.errors import Invalid
from tams.storage.checksums import SIZES

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
