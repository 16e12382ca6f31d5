"""The settings of authentication: a part of `Settings`, and what is only wrong about them together."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tams.config.fields import FILE, SHORTEST_SECRET, ConfigurationError, parsed, read_secret, setting, text, whole

JWT: Final = "jwt"
BASIC: Final = "basic"
TOKEN: Final = "token"  # noqa: S105 - the word, not a token
METHODS: Final = (JWT, BASIC, TOKEN)
"""How clients can prove who they are."""

NONE: Final = "none"

_BY_KEYS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
# With the bytes that a key has at least (RFC 7518, section 3.2).
_BY_SECRET: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


def read_methods(written: str) -> tuple[str, ...]:
    """Methods of authentication; none at all for the word `none`."""
    if written.strip() == NONE:
        return ()
    methods = _words(written)
    if not methods or not set(methods) <= set(METHODS):
        raise ValueError(written)
    return methods


def read_algorithms(written: str) -> tuple[str, ...]:
    """Signature algorithms by their names in JOSE; never `none`."""
    algorithms = _words(written)
    if not algorithms or not set(algorithms) <= {*_BY_KEYS, *_BY_SECRET}:
        raise ValueError(written)
    return algorithms


def read_keys_url(written: str) -> str:
    """An absolute http or https URL without credentials and fragment."""
    parts = urlsplit(written)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0 or parts.username is not None:
        raise ValueError(written)
    if parts.fragment or not written.isascii() or " " in written:
        raise ValueError(written)
    return written


def _words(written: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for part in written.split(",") if (word := part.strip())))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationSettings:
    """How clients prove who they are, beside `auth`, which says by which methods."""

    jwt_issuer: str | None = setting(
        text("the issuer as tokens name it", "https://login.example.com/realms/media"),
        None,
        "Whose JWTs are accepted: their claim `iss` is exactly this. Required with `jwt` in `TAMS_AUTH`.",
    )
    jwt_audience: tuple[str, ...] = setting(
        parsed("a comma-separated list of texts", "tams", _words),
        (),
        "For whom a JWT has to be: its audience is one of these, or holds one of them. Required with `jwt` in "
        "`TAMS_AUTH`.",
    )
    jwt_audience_claim: str = setting(
        text("a claim's name", "client_id"),
        "aud",
        "The claim that holds the audience.",
    )
    jwt_jwks_url: str | None = setting(
        parsed("an absolute https URL", "https://login.example.com/realms/media/keys", read_keys_url),
        None,
        "Where the issuer publishes the keys that its JWTs are signed with (its `jwks_uri`). https, but for this "
        "machine itself and in development. With `jwt`, either this or `TAMS_JWT_KEY` is required.",
    )
    jwt_key: str | None = setting(
        parsed(f"a random text of {SHORTEST_SECRET} bytes or more", "$(openssl rand -hex 32)", read_secret),
        None,
        "The key that JWTs are signed with, shared with whoever makes them. In place of `TAMS_JWT_JWKS_URL`.",
        secret=True,
    )
    jwt_algorithms: tuple[str, ...] = setting(
        parsed(f"a comma-separated list of {', '.join((*_BY_KEYS, *_BY_SECRET))}", "RS256,ES256", read_algorithms),
        (),
        "The signature algorithms that are accepted, whatever a JWT says. HS… goes with `TAMS_JWT_KEY` and nothing "
        "else does.",
        shown="RS256; with TAMS_JWT_KEY: HS256",
    )
    jwt_leeway: int = setting(
        whole("seconds", 0, 30), 30, "How far the clock of whoever makes JWTs may be from the clock of the store."
    )
    jwt_scopes_claim: str = setting(
        text("a claim's name", "scp"),
        "scope",
        "The claim that holds the scopes: a text with spaces between them, or a list. A dot leads into a claim that is "
        "an object (`realm_access.roles`), unless there is a claim of the whole name.",
    )
    jwt_groups_claim: str = setting(
        text("a claim's name", "cognito:groups"),
        "groups",
        "The claim that holds the groups: a list, or a text with commas between them. A dot works as in "
        "`TAMS_JWT_SCOPES_CLAIM`.",
    )
    jwt_name_claim: str = setting(
        text("a claim's name", "preferred_username"),
        "sub",
        "The claim that holds the name which `created_by` and the log show. Take one that the issuer gives to one "
        "principal only and that nobody can choose. A dot works as in `TAMS_JWT_SCOPES_CLAIM`.",
    )
    users_file: Path | None = setting(
        FILE,
        None,
        "The file of users and their passwords' hashes that `tams users` writes, for `basic` in `TAMS_AUTH`.",
        shown="<TAMS_DATA_DIR>/users.json",
    )
    auth_classes: Path | None = setting(
        FILE,
        None,
        "The file that says which groups may read, write and delete which classes of media (see "
        "docs/how-to/share-by-access-classes.md). "
        "It limits everybody without the admin scope to these. It is read at the start: a change takes a restart. "
        "Where it is not set, scopes are for the whole store.",
    )
    rate_limit: int | None = setting(
        whole("requests per second", 1, 50),
        None,
        "How many requests per second each principal may make of each process over time, up to ten times as many at "
        "once; what goes beyond is answered with 429. Without authentication each client address counts as one "
        "principal. Where it is not set, there is no limit.",
    )

    def accepted_algorithms(self) -> tuple[str, ...]:
        """The signature algorithms of JWTs that are accepted."""
        return self.jwt_algorithms or (("HS256",) if self.jwt_key else ("RS256",))


def check_authentication(settings: AuthenticationSettings, methods: tuple[str, ...], *, development: bool) -> None:
    """Raise ConfigurationError where a method lacks what it needs."""
    if settings.auth_classes is not None and not methods:
        raise ConfigurationError(
            "TAMS_AUTH_CLASSES is set, but nobody has groups, because TAMS_AUTH lets everybody in without credentials: "
            f"write one or more of {', '.join(METHODS)} into TAMS_AUTH, or remove TAMS_AUTH_CLASSES."
        )
    if JWT not in methods:
        return
    for variable, value in (("TAMS_JWT_ISSUER", settings.jwt_issuer), ("TAMS_JWT_AUDIENCE", settings.jwt_audience)):
        if not value:
            raise ConfigurationError(
                f"TAMS_AUTH names jwt, but {variable} is not set: write what the tokens have to name, or take jwt out "
                "of TAMS_AUTH."
            )
    if (settings.jwt_jwks_url is None) == (settings.jwt_key is None):
        how_many = "neither is" if settings.jwt_key is None else "both are"
        raise ConfigurationError(
            f"TAMS_AUTH names jwt, which needs either TAMS_JWT_JWKS_URL or TAMS_JWT_KEY, and {how_many} set: write the "
            "URL of the issuer's keys, or the key that is shared with it."
        )
    fitting = _BY_KEYS if settings.jwt_key is None else _BY_SECRET
    if not set(settings.accepted_algorithms()) <= set(fitting):
        source = "TAMS_JWT_JWKS_URL" if settings.jwt_key is None else "TAMS_JWT_KEY"
        raise ConfigurationError(
            f"TAMS_JWT_ALGORITHMS is {','.join(settings.jwt_algorithms)}, but with {source} only some of "
            f"{', '.join(fitting)} can be: write one of those."
        )
    if settings.jwt_key is not None:
        length = max(_BY_SECRET[name] for name in settings.accepted_algorithms())
        if len(settings.jwt_key.encode()) < length:
            raise ConfigurationError(
                f"TAMS_JWT_KEY is too short for TAMS_JWT_ALGORITHMS ({','.join(settings.jwt_algorithms)}): write a "
                f"random text of {length} bytes or more."
            )
    url = settings.jwt_jwks_url
    if url is not None and urlsplit(url).scheme != "https" and not development and not _is_loopback(url):
        raise ConfigurationError(
            f"TAMS_JWT_JWKS_URL is {url}: whoever sits between could put in keys of their own, so write a URL that "
            "starts with https."
        )
