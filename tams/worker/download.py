"""Downloads from a URL that a client chose into a Storage Backend."""

from __future__ import annotations

import base64
import binascii
import http.client
import re
from typing import BinaryIO, Final, cast

from tams.domain.content_types import sendable_type
from tams.services.egress import Egress
from tams.storage.port import Storage, Stored

# Copies are the store's own work, and few at a time.
_OWNER: Final = "copies"
_SECONDS: Final = 3600
_LONGEST_WAIT: Final = 30  # seconds without a byte
_HEADERS: Final = {"User-Agent": "tams", "Accept-Encoding": "identity"}
_SHA_256: Final = re.compile(r"(?:^|[, ])sha-256=:([A-Za-z0-9+/]{43}=):", re.ASCII)


class DownloadFailed(Exception):
    """The URL did not deliver all bytes. The message leaves out the URL, which may be a secret."""


def download(egress: Egress, url: str | None, storage: Storage, storage_key: str, content_type: str | None) -> Stored:
    """Store the bytes at the URL under the storage key, all or nothing.

    The content type is that of the response if `content_type` is None; `sendable_type` replaces one that no header can
    carry. The number of bytes is compared with the response's headers, and so are the digests that they hold
    (`Content-MD5`, `Repr-Digest`).

    Raises:
        DownloadFailed: The URL did not deliver all bytes.
        StorageError: As `storage.put` raises it.
    """
    try:
        connection = egress.connection(url or "", _OWNER)
    except ValueError as error:
        raise DownloadFailed(str(error)) from error
    try:
        response = connection.send_request("GET", _HEADERS, None, _SECONDS, _LONGEST_WAIT)
        stream = _ResponseBody(response)
        stored_type = sendable_type(content_type or response.headers.get("Content-Type"))
        return storage.put(storage_key, cast("BinaryIO", stream), stored_type, checksums=_digests(response.headers))
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(str(error) or type(error).__name__) from error
    finally:
        connection.close()


class _ResponseBody:
    """The body of a response as a stream. Raises DownloadFailed for a response that cannot be stored as a whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        if response.status != 200:
            raise DownloadFailed(f"the server answered {response.status}, not 200")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadFailed("the server answered with encoded bytes, although identity was requested")
        if response.length is None and not response.chunked:
            raise DownloadFailed("the response has neither Content-Length nor chunks, so that its end is unknown")
        self._response = response
        self._bytes_left = response.length

    def read(self, size: int) -> bytes:
        try:
            piece = self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise DownloadFailed(str(error) or type(error).__name__) from error
        if self._bytes_left is not None:
            self._bytes_left -= len(piece)
            if not piece and self._bytes_left:
                raise DownloadFailed(f"the response ended {self._bytes_left} bytes before its Content-Length")
        return piece


def _digests(headers: http.client.HTTPMessage) -> dict[str, bytes]:
    digests = {}
    md5 = _decoded(headers.get("Content-MD5", ""))
    if len(md5) == 16:
        digests["md5"] = md5
    sha_256 = _SHA_256.search(headers.get("Repr-Digest", ""))
    if sha_256 is not None:
        digests["sha256"] = _decoded(sha_256[1])
    return digests


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
