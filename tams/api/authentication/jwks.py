"""Keys that verify JWTs: published by the issuer (a JSON Web Key Set, JWKS), or one secret that is shared with it.

The cache is written by hand: PyJWT's client follows redirects, which docs/explanation/security.md excludes.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

import jwt
from typing_extensions import override

from tams.domain.errors import Unavailable
from tams.services.egress import FinalResponse

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 900.0
"""Seconds after which the keys are fetched again."""

MIN_FETCH_INTERVAL: Final = 30.0
"""Minimum seconds between two fetches, whatever tokens arrive; `_MIN_INTERVAL_WITHOUT_KEYS` while no keys are known."""

MAX_AGE: Final = 86400.0
"""Seconds for which known keys are used while the issuer does not answer."""

_TIMEOUT: Final = 3.0
_MAX_BYTES: Final = 512 * 1024
_MAX_KEYS: Final = 100
_MIN_INTERVAL_WITHOUT_KEYS: Final = 5


class KeySet:
    """Verification keys, each bound to the one algorithm that it may be used with."""

    def __init__(self, published: Collection[Mapping[str, Any]], algorithms: Collection[str]) -> None:
        self._keys: dict[tuple[str, str], jwt.PyJWK] = {}
        by_algorithm: dict[str, list[jwt.PyJWK]] = {}
        for entry in published:
            for algorithm in algorithms:
                key = _usable(entry, algorithm)
                if key is not None:
                    by_algorithm.setdefault(algorithm, []).append(key)
                    kid = entry.get("kid")
                    if isinstance(kid, str):
                        self._keys.setdefault((algorithm, kid), key)
        self._only = {algorithm: keys[0] for algorithm, keys in by_algorithm.items() if len(keys) == 1}

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key with this id, or None. Without an id, return the algorithm's key if it has exactly one."""
        return self._only.get(algorithm) if key_id is None else self._keys.get((algorithm, key_id))


def _usable(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """Return the key of an entry, or None if it is malformed, too weak, for encryption, or for another algorithm."""
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm)
        weakness = key.Algorithm.check_key_length(key.key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if weakness is not None:
        logger.warning("Ignoring a key of the issuer: %s", weakness)
        return None
    return key


class Keys(Protocol):
    """A source of keys."""

    def current(self) -> KeySet:
        """Return the current set of keys: the same object as long as the keys are the same.

        Raises:
            Unavailable: no keys are known, and none can be fetched.
        """

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """Return the key for a token with this algorithm and key id, or None if there is none.

        Raises:
            Unavailable: no keys are known, and none can be fetched.
        """


class SharedKey(Keys):
    """One secret, used whatever key id a token names."""

    def __init__(self, secret: str, algorithms: Collection[str]) -> None:
        entry = {"kty": "oct", "k": urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()}
        self._keys = KeySet([entry], algorithms)

    @override
    def current(self) -> KeySet:
        return self._keys

    @override
    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        del key_id
        return self._keys.find(algorithm, None)


class PublishedKeys(Keys):
    """The issuer's JWKS, fetched when first needed, and again when it is old or lacks a key.

    An issuer that does not answer delays a request by a few seconds every half minute; the known keys are used for a
    day meanwhile. Nothing in a token changes the address.
    """

    def __init__(self, url: str, algorithms: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._algorithms = algorithms
        self._clock = clock
        self._lock = threading.Lock()
        self._published: Any = None
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at = float("-inf")

    @override
    def current(self) -> KeySet:
        # At most `REFRESH_SECONDS` old while the issuer answers.
        keys = self._keys
        if keys is not None and self._clock() < self._fetched_at + REFRESH_SECONDS:
            return keys
        return self._refresh(keys)

    @override
    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        keys = self.current()
        key = keys.find(algorithm, key_id)
        if key is None:
            # The key may be newer than the fetched set.
            key = self._refresh(keys).find(algorithm, key_id)
        return key

    def _refresh(self, known: KeySet | None) -> KeySet:
        """Return the issuer's current keys. One thread fetches at a time, and no sooner than the minimum interval."""
        with self._lock:
            # Another thread may have fetched them while this one waited.
            interval = _MIN_INTERVAL_WITHOUT_KEYS if self._keys is None else MIN_FETCH_INTERVAL
            if self._keys is known and self._clock() >= self._tried_at + interval:
                self._fetch()
            if self._keys is None or self._clock() >= self._fetched_at + MAX_AGE:
                reason = "the token cannot be checked: the keys of its issuer cannot be fetched"
                raise Unavailable(reason, retry_after=_MIN_INTERVAL_WITHOUT_KEYS)
            return self._keys

    def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            published = _download(self._url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            logger.warning("Cannot fetch the issuer's keys from %s: %s", self._url, error)
            return
        if published != self._published:
            # Unchanged keys stay the same object, so that tokens verified with them stay in the cache.
            self._keys = KeySet(published, self._algorithms)
            self._published = published
            logger.info("The issuer publishes %s keys", len(published))
        self._fetched_at = self._clock()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: keys come from the configured address and no other."""

    @override
    def redirect_request(self, *_: Any) -> None:
        return None


class _HttpConnection(http.client.HTTPConnection):
    response_class = FinalResponse


class _HttpsConnection(http.client.HTTPSConnection):
    response_class = FinalResponse


class _HttpHandler(urllib.request.HTTPHandler):
    @override
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpConnection, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    @override
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, req)


_opener = urllib.request.build_opener(_NoRedirects, _HttpHandler, _HttpsHandler)


def _download(url: str) -> list[dict[str, Any]]:
    """Return the entries of the published JWKS.

    Raises:
        OSError: the issuer cannot be reached, or takes longer than `_TIMEOUT` seconds.
        http.client.HTTPException: the response is not HTTP.
        ValueError: the response is too large, or not a JWKS.
    """
    deadline = time.monotonic() + _TIMEOUT
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - of the settings
    content = bytearray()
    with _opener.open(request, timeout=_TIMEOUT) as response:
        while piece := response.read1(64 * 1024):
            content += piece
            if len(content) > _MAX_BYTES:
                raise ValueError("the response is too large")
            if time.monotonic() > deadline:
                raise TimeoutError("the response takes too long")
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("the response is nested too deep") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or len(entries) > _MAX_KEYS:
        raise ValueError("the response is not a JSON Web Key Set")
    return [entry for entry in entries if isinstance(entry, dict)]
