"""Signatures of the URLs that this service answers itself."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tams.storage.port import StorageError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

SIGNATURE: Final = "s"
"""The query parameter that holds the signature."""

_VERSION: Final = "1"
_EXPIRY: Final = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_SHORTEST_KEY: Final = 16
_MICROSECONDS: Final = 1_000_000
_BLOCK: Final = 64
"""The block size of SHA-256, in bytes."""


class SignatureRefused(StorageError):
    """The URL was altered, is for another request, or has expired. `str(error)` can be shown to the client."""


class UrlSigner:
    """Signs and verifies the URLs of one Storage Backend: method, key, expiry, and for PUT the content type.

    HMAC-SHA256 (RFC 2104). The HMAC key is derived from the service's signing key, which therefore signs nothing else
    in the same way. Both halves of the HMAC are prepared once, because a page holds a thousand URLs: that takes half
    the time of `hmac`.
    """

    def __init__(self, signing_key: bytes, storage_id: str) -> None:
        if len(signing_key) < _SHORTEST_KEY:
            raise ValueError(f"a signing key has at least {_SHORTEST_KEY} bytes")
        derived = hmac.digest(signing_key, b"tams storage url " + _VERSION.encode(), "sha256")
        padded = derived.ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))
        self._storage_id = storage_id

    def get_signer(self, address: str, expiry: int) -> Callable[[str], str]:
        """Return a function from a key to its URL for GET and HEAD.

        URLs begin with `address`, and end at `expiry` (seconds since 1970).
        """
        inner, outer = self._prepared("GET", expiry), self._outer
        query = f"?v={_VERSION}&e={expiry}&{SIGNATURE}="

        def sign(key: str) -> str:
            message, mac = inner.copy(), outer.copy()
            message.update(key.encode())
            mac.update(message.digest())
            return f"{address}{key}{query}{mac.hexdigest()}"

        return sign

    def put_query(self, key: str, expiry: int, content_type: str) -> str:
        """Return the query of a URL for PUT with exactly that content type, until `expiry` (seconds since 1970)."""
        return f"v={_VERSION}&e={expiry}&{SIGNATURE}={self._signature('PUT', expiry, _put_message(key, content_type))}"

    def verify_get(self, key: str, query: Mapping[str, str], now: int) -> None:
        """Raise `SignatureRefused` unless the query allows GET and HEAD at `now` (microseconds)."""
        expiry = _expiry(query)
        _compare(self._signature("GET", expiry, key), query, "this method and address")
        _refuse_expired(expiry, now)

    def verify_put(self, key: str, content_type: str, query: Mapping[str, str], now: int) -> int:
        """Return the expiry (seconds since 1970); raise `SignatureRefused` unless the query allows that PUT at `now`.

        `now` is in microseconds.
        """
        expiry = _expiry(query)
        expected = self._signature("PUT", expiry, _put_message(key, content_type))
        _compare(expected, query, "this method, address and Content-Type (send the one that the URL was created for)")
        _refuse_expired(expiry, now)
        return expiry

    def _signature(self, method: str, expiry: int, message: str) -> str:
        inner, mac = self._prepared(method, expiry), self._outer.copy()
        inner.update(message.encode())
        mac.update(inner.digest())
        return mac.hexdigest()

    def _prepared(self, method: str, expiry: int) -> Hash:
        """Return the inner half over the parts of the message before the key. None of them contains a line feed."""
        inner = self._inner.copy()
        inner.update(f"{method}\n{self._storage_id}\n{expiry}\n".encode())
        return inner


def _put_message(key: str, content_type: str) -> str:
    # A key contains no line feed, so that different pairs give different messages.
    return f"{key}\n{content_type}"


def _expiry(query: Mapping[str, str]) -> int:
    text = query.get("e", "")
    if query.get("v") != _VERSION or not _EXPIRY.fullmatch(text):
        raise SignatureRefused("the URL is not one that this service signed")
    return int(text)


def _compare(expected: str, query: Mapping[str, str], signed: str) -> None:
    if not hmac.compare_digest(expected.encode(), query.get(SIGNATURE, "").encode()):
        raise SignatureRefused(f"the signature in the URL is not for {signed}")


def _refuse_expired(expiry: int, now: int) -> None:
    # After the comparison: a client without a valid signature learns nothing about a URL.
    if now >= expiry * _MICROSECONDS:
        raise SignatureRefused("the URL has expired: ask for a new one")
