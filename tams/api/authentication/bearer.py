"""JSON Web Tokens of an identity provider."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt

from tams.api.authentication.jwks import Keys, KeySet, PublishedKeys, SharedKey
from tams.api.authentication.refusal import Refused
from tams.api.authentication.ttl_cache import Remembered
from tams.domain.principals import SCOPES, Principal

if TYPE_CHECKING:
    from tams.config import Settings

LONGEST: Final = 8192
"""Characters that a token has at most."""

_LONGEST_NAME: Final = 256
_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 86400.0
_REASONS: Final[dict[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.MissingRequiredClaimError: "the token lacks a claim: exp, iss, or the audience",
    jwt.InvalidSignatureError: "the signature of the token is wrong",
}


class _Verified(NamedTuple):
    """A principal, and the keys of the moment in which its token was verified."""

    principal: Principal
    keys: KeySet


class JsonWebTokens:
    """What makes principals of JWTs.

    The algorithm, the key and the issuer are the configured ones whatever a token says; `jku`, `x5u` and `jwk` in its
    header are not looked at. A token that was verified is remembered until it expires or the keys change.
    """

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings = settings
        self._algorithms = settings.accepted_algorithms()
        self._keys = keys
        self._remembered: Remembered[_Verified] = Remembered(_REMEMBERED)

    def principal(self, token: str) -> Principal:
        """On whose behalf the token speaks. `Refused`; `Unavailable` where it cannot be checked now."""
        if len(token) > LONGEST:
            raise Refused(f"the token has more than {LONGEST} characters")
        digest = sha256(token.encode()).digest()
        keys = self._keys.current()
        remembered = self._remembered.get(digest, time.time())
        if remembered is not None and remembered.keys is keys:
            return remembered.principal
        claims = self._claims(token)
        principal = self._principal(claims)
        now = time.time()
        # `exp` may be a number that no float holds.
        until = min(int(claims["exp"]) + self._settings.jwt_leeway, now + _LONGEST_REMEMBERED)
        self._remembered.put(digest, _Verified(principal, keys), until)
        return principal

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in self._algorithms:
                raise Refused("the token is signed by an algorithm that is not accepted")
            key = self._keys.find(algorithm, key_id)
            if key is None:
                raise Refused("the token is signed by a key that the issuer does not publish")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                issuer=self._settings.jwt_issuer,
                leeway=self._settings.jwt_leeway,
                # The audience is looked at below: some providers have it in another claim.
                options={"require": ["exp", "iss"], "verify_aud": False, "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Refused(_REASONS.get(type(error), "the token cannot be read")) from error
        audience = claims.get(self._settings.jwt_audience_claim)
        if not set(self._settings.jwt_audience) & set(_list(audience, None)):
            raise Refused("the token is for another audience")
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        name = _claim(claims, self._settings.jwt_name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise Refused(f"the token names nobody: its claim {self._settings.jwt_name_claim} is no fitting text")
        scopes = _list(_claim(claims, self._settings.jwt_scopes_claim), " ")
        groups = _list(_claim(claims, self._settings.jwt_groups_claim), ",")
        return Principal(name, frozenset(scopes) & frozenset(SCOPES), frozenset(groups))


def keys_of(settings: Settings) -> Keys:
    """Where the settings say that keys come from."""
    if settings.jwt_key is not None:
        return SharedKey(settings.jwt_key, settings.accepted_algorithms())
    if settings.jwt_jwks_url is not None:
        return PublishedKeys(settings.jwt_jwks_url, settings.accepted_algorithms())
    raise ValueError("neither a key nor the URL of keys is set")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or what the parts of the name lead to."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _list(value: Any, separator: str | None) -> list[str]:
    """The texts in a claim that may be a list of them or one text. Anything else is none."""
    if isinstance(value, str):
        parts = [value] if separator is None else value.split(separator)
        return [text for part in parts if (text := part.strip())]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return []
