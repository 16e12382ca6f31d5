"""JSON Web Tokens (JWTs) of an identity provider."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt

from tams.api.authentication.jwks import Keys, KeySet, PublishedKeys, SharedKey
from tams.api.authentication.schemes import InvalidCredentials
from tams.api.authentication.ttl_cache import TtlCache
from tams.domain.principals import SCOPES, Principal

if TYPE_CHECKING:
    from tams.config import Settings

MAX_TOKEN_LENGTH: Final = 8192
"""Maximum number of characters in a token."""

_MAX_NAME_LENGTH: Final = 256
_CACHE_ENTRIES: Final = 4096
_MAX_CACHE_SECONDS: Final = 86400.0
_REASONS: Final[dict[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.MissingRequiredClaimError: "the token lacks a claim: exp, iss, or the audience",
    jwt.InvalidSignatureError: "the signature of the token is wrong",
}


class _Verified(NamedTuple):
    """A principal, and the set of keys that its token was verified with."""

    principal: Principal
    keys: KeySet


class JsonWebTokens:
    """Authenticates by JWT.

    Algorithms, keys and issuer come from the settings, whatever a token says; `jku`, `x5u` and `jwk` in its header are
    ignored. A verified token is cached until it expires or the keys change.
    """

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings = settings
        self._algorithms = settings.accepted_algorithms()
        self._keys = keys
        self._cache: TtlCache[_Verified] = TtlCache(_CACHE_ENTRIES)

    def principal(self, token: str) -> Principal:
        """Return the principal that the token names.

        Raises:
            InvalidCredentials: the token is malformed, forged, expired, or for another service.
            Unavailable: the issuer's keys cannot be fetched.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidCredentials(f"the token has more than {MAX_TOKEN_LENGTH} characters")
        digest = sha256(token.encode()).digest()
        keys = self._keys.current()
        verified = self._cache.get(digest)
        if verified is not None and verified.keys is keys:
            return verified.principal
        claims = self._claims(token)
        principal = self._principal(claims)
        # `exp` may be an integer too large for a float, so the sum is limited before it becomes one.
        expires = min(int(claims["exp"]) + self._settings.jwt_leeway, time.time() + _MAX_CACHE_SECONDS)
        self._cache.put(digest, _Verified(principal, keys), expires)
        return principal

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in self._algorithms:
                raise InvalidCredentials("the token is signed by an algorithm that is not accepted")
            key = self._keys.find(algorithm, key_id)
            if key is None:
                raise InvalidCredentials("the token is signed by a key that the issuer does not publish")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                issuer=self._settings.jwt_issuer,
                leeway=self._settings.jwt_leeway,
                # The audience is checked below, because some providers put it into another claim.
                options={"require": ["exp", "iss"], "verify_aud": False, "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise InvalidCredentials(_REASONS.get(type(error), "the token cannot be read")) from error
        audience = claims.get(self._settings.jwt_audience_claim)
        if not set(self._settings.jwt_audience) & set(_list(audience, None)):
            raise InvalidCredentials("the token is for another audience")
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        name = _claim(claims, self._settings.jwt_name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_LENGTH or not name.isprintable():
            claim = self._settings.jwt_name_claim
            raise InvalidCredentials(f"the token's `{claim}` claim is not a name of 1 to {_MAX_NAME_LENGTH} characters")
        scopes = _list(_claim(claims, self._settings.jwt_scopes_claim), " ")
        groups = _list(_claim(claims, self._settings.jwt_groups_claim), ",")
        return Principal(name, frozenset(scopes) & frozenset(SCOPES), frozenset(groups))


def keys_of(settings: Settings) -> Keys:
    """Return the source of keys that the settings name."""
    if settings.jwt_key is not None:
        return SharedKey(settings.jwt_key, settings.accepted_algorithms())
    if settings.jwt_jwks_url is not None:
        return PublishedKeys(settings.jwt_jwks_url, settings.accepted_algorithms())
    raise ValueError("neither jwt_key nor jwt_jwks_url is set")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim of that name, or the member that the name leads to as a dotted path."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _list(value: Any, separator: str | None) -> list[str]:
    """Return the texts in a claim: a list's, or one text's parts (None: the text itself). Other values have none."""
    if isinstance(value, str):
        parts = [value] if separator is None else value.split(separator)
        return [text for part in parts if (text := part.strip())]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return []
