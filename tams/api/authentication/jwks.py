"""The keys that JWTs are signed with: published by the issuer (JWKS), or one that is shared with it."""

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

from tams.domain.errors import Unavailable

logger = logging.getLogger(__name__)

FRESH: Final = 900.0
"""Seconds after which the keys are asked for again."""

PAUSE: Final = 30.0
"""Seconds between two questions to the issuer, whatever comes in; less while there are no keys at all."""

KEPT: Final = 86400.0
"""Seconds for which keys are used on while the issuer does not answer."""

_TIMEOUT: Final = 3.0
_LARGEST: Final = 512 * 1024
_MOST_KEYS: Final = 100
_PAUSE_WITHOUT_KEYS: Final = 5


class KeySet:
    """Public keys, each bound to the one algorithm that it may be used with."""

    def __init__(self, published: Collection[Mapping[str, Any]], algorithms: Collection[str]) -> None:
        self._keys: dict[tuple[str, str], jwt.PyJWK] = {}
        only: dict[str, list[jwt.PyJWK]] = {}
        for entry in published:
            for algorithm in algorithms:
                key = _usable(entry, algorithm)
                if key is not None:
                    only.setdefault(algorithm, []).append(key)
                    kid = entry.get("kid")
                    if isinstance(kid, str):
                        self._keys.setdefault((algorithm, kid), key)
        self._only = {algorithm: keys[0] for algorithm, keys in only.items() if len(keys) == 1}

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """The key; without an id the only one there is for the algorithm."""
        return self._only.get(algorithm) if key_id is None else self._keys.get((algorithm, key_id))


def _usable(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """The key for this algorithm, None where it is for another one, for encryption, or too weak."""
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm)
        weak = key.Algorithm.check_key_length(key.key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if weak is not None:
        logger.warning("A key of the issuer is not used: %s", weak)
        return None
    return key


class Keys(Protocol):
    """Where keys come from."""

    def current(self) -> KeySet:
        """The keys of this moment. `Unavailable` where there are none to be had."""

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """The key for a token. `Unavailable` where that cannot be found out."""


class SharedKey:
    """One secret, whatever key id a token names."""

    def __init__(self, secret: str, algorithms: Collection[str]) -> None:
        entry = {"kty": "oct", "k": urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()}
        self._keys = KeySet([entry], algorithms)

    def current(self) -> KeySet:
        """Always the same."""
        return self._keys

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """The secret, for its algorithms."""
        del key_id
        return self._keys.find(algorithm, None)


class PublishedKeys:
    """The issuer's JWKS, fetched when it is first needed, and again when it is old or lacks a key.

    An issuer that does not answer delays a request by a few seconds every half minute; the keys known so far are used
    on for a day. Nothing that a token says leads to another address.
    """

    def __init__(self, url: str, algorithms: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._algorithms = algorithms
        self._clock = clock
        self._lock = threading.Lock()
        self._published: Any = None
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._tried = float("-inf")

    def current(self) -> KeySet:
        """The keys, at most a quarter of an hour old while the issuer answers."""
        keys = self._keys
        if keys is not None and self._clock() < self._fetched + FRESH:
            return keys
        return self._renewed(keys)

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """The key; one that is not known may be newer than what was fetched."""
        keys = self.current()
        key = keys.find(algorithm, key_id)
        if key is None:
            key = self._renewed(keys).find(algorithm, key_id)
        return key

    def _renewed(self, known: KeySet | None) -> KeySet:
        """The keys as the issuer has them now, asked for by one thread at a time and not all the time."""
        with self._lock:
            # Another thread may have fetched them while this one waited.
            pause = _PAUSE_WITHOUT_KEYS if self._keys is None else PAUSE
            if self._keys is known and self._clock() >= self._tried + pause:
                self._fetch()
            if self._keys is None or self._clock() >= self._fetched + KEPT:
                reason = "the token cannot be checked: the keys of its issuer cannot be fetched"
                raise Unavailable(reason, retry_after=_PAUSE_WITHOUT_KEYS)
            return self._keys

    def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            published = _download(self._url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            logger.warning("The issuer's keys cannot be fetched from %s: %s", self._url, error)
            return
        if published != self._published:
            # The same keys stay the same object, so that what was verified with them stays verified.
            self._keys = KeySet(published, self._algorithms)
            self._published = published
            logger.info("The issuer publishes %s keys", len(published))
        self._fetched = self._clock()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from the configured address and no other."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""


_opener = urllib.request.build_opener(_NoRedirects)


def _download(url: str) -> list[dict[str, Any]]:
    """The published keys. `OSError`, `ValueError` or `HTTPException` where there are none."""
    deadline = time.monotonic() + _TIMEOUT
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - of the settings
    content = bytearray()
    with _opener.open(request, timeout=_TIMEOUT) as answer:
        while piece := answer.read1(64 * 1024):
            content += piece
            if len(content) > _LARGEST:
                raise ValueError("the answer is too large")
            if time.monotonic() > deadline:
                raise TimeoutError("the answer takes too long")
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("the answer is nested too deep") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or len(entries) > _MOST_KEYS:
        raise ValueError("the answer is no JSON Web Key Set")
    return [entry for entry in entries if isinstance(entry, dict)]
