"""The kinds of credentials in the words of HTTP and of the API document."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from werkzeug.datastructures import WWWAuthenticate

from tams.config.authentication import BASIC, JWT, TOKEN

REALM: Final = "tams"

_SCHEMES: Final[dict[str, tuple[frozenset[str], dict[str, str]]]] = {
    "bearer_token_auth": (
        frozenset({JWT, TOKEN}),
        {"type": "http", "scheme": "bearer", "description": "A JWT of the identity provider, or a long-lived token."},
    ),
    "url_token_auth": (
        frozenset({TOKEN}),
        {"type": "apiKey", "in": "query", "name": "access_token", "description": "A long-lived token in the URL."},
    ),
    "basic_auth": (frozenset({BASIC}), {"type": "http", "scheme": "basic", "description": "User name and password."}),
}


def security_schemes(methods: Collection[str]) -> dict[str, dict[str, Any]]:
    """The `securitySchemes` of the API document that the methods of authentication offer, by their specified names."""
    return {name: scheme for name, (offering, scheme) in _SCHEMES.items() if offering & set(methods)}


class _Challenge(WWWAuthenticate):
    """Every value quoted, as RFC 9110 (11.5) demands of `realm` and RFC 6750 of the rest."""

    def to_header(self) -> str:
        return f"{self.type.title()} " + ", ".join(f'{name}="{value}"' for name, value in self.parameters.items())


def challenges(methods: Collection[str], refused: str | None) -> list[WWWAuthenticate]:
    """What `WWW-Authenticate` says: every scheme that is accepted, and what was wrong with a bearer token."""
    said: list[WWWAuthenticate] = []
    if {JWT, TOKEN} & set(methods):
        error = {} if refused is None else {"error": "invalid_token", "error_description": refused}
        said.append(_Challenge("bearer", {"realm": REALM, **error}))
    if BASIC in methods:
        said.append(_Challenge("basic", {"realm": REALM, "charset": "UTF-8"}))
    return said
