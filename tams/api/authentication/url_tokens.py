"""Long-lived tokens, in the URL (`access_token`) or as bearer tokens."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tams.api.authentication.schemes import InvalidCredentials
from tams.api.authentication.ttl_cache import TtlCache
from tams.domain.clock import MICROSECONDS
from tams.domain.principals import Principal
from tams.services.access import tokens

if TYPE_CHECKING:
    from tams.services.store import Store

CACHE_SECONDS: Final = 10.0
"""Seconds after which a token is looked up again. A revoked token may be used for that long."""

_CACHE_ENTRIES: Final = 4096
_MAX_LENGTH: Final = 128


class LongLivedTokens:
    """Authenticates by the tokens that `tams tokens` issues."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: TtlCache[Principal] = TtlCache(_CACHE_ENTRIES)

    def principal(self, token: str) -> Principal:
        """Return the principal that the token was issued to.

        Raises:
            InvalidCredentials: the token is malformed, unknown, revoked or expired.
        """
        if len(token) > _MAX_LENGTH:
            raise InvalidCredentials("the token cannot be read")
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        principal = self._cache.get(digest)
        if principal is None:
            record = tokens.find(self._store, token)
            now = self._store.now()
            if record is None:
                raise InvalidCredentials("the token is unknown or was revoked")
            if record.has_expired(now):
                raise InvalidCredentials("the token has expired")
            principal = Principal(record.name, record.scopes, record.groups)
            seconds_left = CACHE_SECONDS if record.expires is None else (record.expires - now) / MICROSECONDS
            self._cache.put(digest, principal, time.time() + min(CACHE_SECONDS, seconds_left))
        return principal
