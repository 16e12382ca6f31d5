"""The settings of authentication, and the rules between them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tams.config.fields import FILE, SECRET, ConfigurationError, parsed, setting, text, whole
from tams.config.parsers import parse_keys_url, parse_list

JWT: Final = "jwt"
BASIC: Final = "basic"
TOKEN: Final = "token"  # noqa: S105 - the word, not a token
METHODS: Final = (JWT, BASIC, TOKEN)
"""Methods of authentication: JWTs, passwords, and the store's own long-lived tokens."""

NONE: Final = "none"

_PUBLIC_KEY: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
# With the minimum length of the key in bytes (RFC 7518, section 3.2).
_SHARED_KEY: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


def parse_methods(text: str) -> tuple[str, ...]:
    """Return methods of authentication; an empty tuple for the word `none`."""
    if text.strip() == NONE:
        return ()
    methods = _words(text)
    if not methods or not set(methods) <= set(METHODS):
        raise ValueError(text)
    return methods


def parse_algorithms(text: str) -> tuple[str, ...]:
    """Return signature algorithms by their names in JOSE; never `none`."""
    algorithms = _words(text)
    if not algorithms or not set(algorithms) <= {*_PUBLIC_KEY, *_SHARED_KEY}:
        raise ValueError(text)
    return algorithms


def _words(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, without repetitions."""
    return tuple(dict.fromkeys(parse_list(text)))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, kw_only=True)
class AuthenticationSettings:
    """The settings of the methods of authentication; `auth` chooses among the methods."""

    jwt_issuer: str | None = setting(
        text("the issuer as tokens name it", "https://login.example.com/realms/media"),
        None,
        "Issuer of accepted JWTs, compared exactly with the claim `iss`. Required with `jwt` in `TAMS_AUTH`.",
    )
    jwt_audience: tuple[str, ...] = setting(
        parsed("a comma-separated list of texts", "tams", _words),
        (),
        "Accepted audiences: a JWT's audience has to be one of these, or include one of them. Required with `jwt` in "
        "`TAMS_AUTH`.",
    )
    jwt_audience_claim: str = setting(
        text("a claim's name", "client_id"),
        "aud",
        "Claim that holds the audience.",
    )
    jwt_jwks_url: str | None = setting(
        parsed("an absolute https URL", "https://login.example.com/realms/media/keys", parse_keys_url),
        None,
        "URL of the issuer's public keys (its `jwks_uri`). Has to be https, except for this machine itself and in "
        "development. With `jwt`, either this or `TAMS_JWT_KEY` is required.",
    )
    jwt_key: str | None = setting(
        SECRET,
        None,
        "Key that JWTs are signed with, shared with their issuer. In place of `TAMS_JWT_JWKS_URL`.",
        secret=True,
    )
    jwt_algorithms: tuple[str, ...] = setting(
        parsed(
            f"a comma-separated list of {', '.join((*_PUBLIC_KEY, *_SHARED_KEY))}",
            "RS256,ES256",
            parse_algorithms,
        ),
        (),
        "Accepted signature algorithms; a JWT cannot choose another. HS… requires `TAMS_JWT_KEY`, all others "
        "`TAMS_JWT_JWKS_URL`.",
        shown="RS256; with TAMS_JWT_KEY: HS256",
    )
    jwt_leeway: int = setting(whole("seconds", 0, 30), 30, "Clock skew tolerated when validating JWTs.")
    jwt_scopes_claim: str = setting(
        text("a claim's name", "scp"),
        "scope",
        "Claim that holds the scopes: a text with spaces between them, or a list. A dot leads into a claim that is "
        "an object (`realm_access.roles`), unless there is a claim of the whole name.",
    )
    jwt_groups_claim: str = setting(
        text("a claim's name", "cognito:groups"),
        "groups",
        "Claim that holds the groups: a list, or a text with commas between them. A dot works as in "
        "`TAMS_JWT_SCOPES_CLAIM`.",
    )
    jwt_name_claim: str = setting(
        text("a claim's name", "preferred_username"),
        "sub",
        "Claim that holds the principal's name in `created_by` and in logs. Choose one whose value is unique, and set "
        "by the issuer, not by the user. A dot works as in `TAMS_JWT_SCOPES_CLAIM`.",
    )
    users_file: Path | None = setting(
        FILE,
        None,
        "File of users and their password hashes, written by `tams users`, for `basic` in `TAMS_AUTH`.",
        shown="<TAMS_DATA_DIR>/users.json",
    )
    auth_classes: Path | None = setting(
        FILE,
        None,
        "File that defines which groups may read, write and delete which classes of media (see "
        "docs/how-to/share-by-access-classes.md). It restricts all principals without the admin scope. It is read at "
        "the start: a change requires a restart. By default, scopes apply to the whole store.",
    )
    rate_limit: int | None = setting(
        whole("requests per second", 1, 50),
        None,
        "Sustained requests per second that each principal may send to each process, with bursts of up to ten times as "
        "many; requests beyond it are answered with 429. Without authentication, each client address counts as one "
        "principal. By default, there is no limit.",
    )

    def accepted_algorithms(self) -> tuple[str, ...]:
        """Return the signature algorithms of accepted JWTs."""
        return self.jwt_algorithms or (("HS256",) if self.jwt_key else ("RS256",))


def check_authentication(settings: AuthenticationSettings, methods: tuple[str, ...]) -> None:
    """Raise ConfigurationError if a method lacks a setting that it needs."""
    if settings.auth_classes is not None and not methods:
        raise ConfigurationError(
            "TAMS_AUTH_CLASSES is set, but without authentication no client belongs to a group: "
            f"write one or more of {', '.join(METHODS)} into TAMS_AUTH, or remove TAMS_AUTH_CLASSES."
        )
    if JWT not in methods:
        return
    for variable, value in (("TAMS_JWT_ISSUER", settings.jwt_issuer), ("TAMS_JWT_AUDIENCE", settings.jwt_audience)):
        if not value:
            raise ConfigurationError(
                f"TAMS_AUTH names jwt, but {variable} is not set: write the value that the tokens carry, or remove jwt "
                "from TAMS_AUTH."
            )
    if (settings.jwt_jwks_url is None) == (settings.jwt_key is None):
        how_many = "neither is" if settings.jwt_key is None else "both are"
        raise ConfigurationError(
            f"TAMS_AUTH names jwt, which needs either TAMS_JWT_JWKS_URL or TAMS_JWT_KEY, and {how_many} set: write the "
            "URL of the issuer's keys, or the key that is shared with it."
        )
    possible = _PUBLIC_KEY if settings.jwt_key is None else _SHARED_KEY
    if not set(settings.accepted_algorithms()) <= set(possible):
        source = "TAMS_JWT_JWKS_URL" if settings.jwt_key is None else "TAMS_JWT_KEY"
        raise ConfigurationError(
            f"TAMS_JWT_ALGORITHMS is {','.join(settings.jwt_algorithms)}, but {source} only allows "
            f"{', '.join(possible)}: write one or more of those."
        )
    if settings.jwt_key is not None:
        length = max(_SHARED_KEY[name] for name in settings.accepted_algorithms())
        if len(settings.jwt_key.encode()) < length:
            raise ConfigurationError(
                f"TAMS_JWT_KEY is too short for TAMS_JWT_ALGORITHMS ({','.join(settings.jwt_algorithms)}): write a "
                f"random text of {length} bytes or more."
            )


def check_keys_url(settings: AuthenticationSettings, methods: tuple[str, ...], *, development: bool) -> None:
    """Raise ConfigurationError if the issuer's keys would be fetched in a way that an attacker could change."""
    url = settings.jwt_jwks_url if JWT in methods else None
    if url is not None and urlsplit(url).scheme != "https" and not development and not _is_loopback(url):
        raise ConfigurationError(
            f"TAMS_JWT_JWKS_URL is {url}, and an attacker on the way could replace the keys: write a URL that starts "
            "with https."
        )
