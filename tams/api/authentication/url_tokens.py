"""Long-lived tokens, in the URL (`access_token`) or as bearer."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tams.api.authentication.refusal import Refused
from tams.api.authentication.ttl_cache import Remembered
from tams.domain.clock import MICROSECONDS
from tams.domain.principals import Principal
from tams.services.access import tokens

if TYPE_CHECKING:
    from tams.services.store import Store

REMEMBERED_FOR: Final = 10.0
"""Seconds after which a token is looked up again; so long a revoked one may still be used."""

_REMEMBERED: Final = 4096
_LONGEST: Final = 128


class LongLivedTokens:
    """What makes principals of the tokens that `tams tokens` gives out."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: Remembered[Principal] = Remembered(_REMEMBERED)

    def principal(self, token: str) -> Principal:
        """On whose behalf the token speaks. `Refused`."""
        if len(token) > _LONGEST:
            raise Refused("the token cannot be read")
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        principal = self._remembered.get(digest, time.time())
        if principal is None:
            found = tokens.find(self._store, token)
            now = self._store.now()
            if found is None:
                raise Refused("the token is unknown or was revoked")
            if found.has_expired(now):
                raise Refused("the token has expired")
            principal = Principal(found.name, found.scopes, found.groups)
            left = REMEMBERED_FOR if found.expires is None else (found.expires - now) / MICROSECONDS
            self._remembered.put(digest, principal, time.time() + min(REMEMBERED_FOR, left))
        return principal
