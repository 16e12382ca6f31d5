"""Bytes from a URL of a client's into a Storage Backend."""

from __future__ import annotations

import base64
import binascii
import http.client
import re
from typing import BinaryIO, Final, cast

from tams.services.egress import Outbound
from tams.storage.port import Storage, Stored

_SECONDS: Final = 3600
_LONGEST_SILENCE: Final = 30
_ANY_TYPE: Final = "application/octet-stream"
_HEADERS: Final = {"User-Agent": "tams", "Accept-Encoding": "identity"}
_SHA_256: Final = re.compile(r"(?:^|[, ])sha-256=:([A-Za-z0-9+/]{43}=):", re.ASCII)


class DownloadFailed(Exception):
    """The URL did not give all of the bytes. The message does not hold the URL, which may be a secret."""


def download(outbound: Outbound, url: str | None, storage: Storage, key: str, content_type: str | None) -> Stored:
    """Store what is at the URL under the key, all or nothing. The type is the answer's where `content_type` is None.

    The number of bytes is compared with what the answer says, and so are its digests where it has any (`Content-MD5`,
    `Repr-Digest`). `DownloadFailed`, and what `storage.put` raises.
    """
    try:
        channel = outbound.channel(url or "")
    except ValueError as error:
        raise DownloadFailed(str(error)) from error
    try:
        answer = channel.send_request("GET", _HEADERS, None, _SECONDS, _LONGEST_SILENCE)
        stream = _Answer(answer)
        stored_as = content_type or answer.headers.get("Content-Type") or _ANY_TYPE
        return storage.put(key, cast("BinaryIO", stream), stored_as, checksums=_digests(answer.headers))
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(str(error) or type(error).__name__) from error
    finally:
        channel.close()


class _Answer:
    """The body of an answer as a stream: `DownloadFailed` where it is not what was asked for, or ends too early."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        if answer.status != 200:
            raise DownloadFailed(f"it answers {answer.status}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadFailed("it answers with encoded bytes")
        if answer.length is None and not answer.chunked:
            raise DownloadFailed("it does not say how many bytes there are")
        self._answer = answer
        self._left = answer.length

    def read(self, size: int) -> bytes:
        try:
            piece = self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise DownloadFailed(str(error) or type(error).__name__) from error
        if self._left is not None:
            self._left -= len(piece)
            if not piece and self._left:
                raise DownloadFailed("its bytes end too early")
        return piece


def _digests(headers: http.client.HTTPMessage) -> dict[str, bytes]:
    found = {}
    md5 = _decoded(headers.get("Content-MD5", ""))
    if len(md5) == 16:
        found["md5"] = md5
    sha_256 = _SHA_256.search(headers.get("Repr-Digest", ""))
    if sha_256 is not None:
        found["sha256"] = _decoded(sha_256[1])
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
