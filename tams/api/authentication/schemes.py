"""Kinds of credentials, in the terms of HTTP and of the API document."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from typing_extensions import override
from werkzeug.datastructures import WWWAuthenticate

from tams.config.authentication import BASIC, JWT, TOKEN

REALM: Final = "tams"

# By specified name: the methods of authentication that offer the scheme, and its entry in the document.
_SCHEMES: Final[dict[str, tuple[frozenset[str], dict[str, str]]]] = {
    "bearer_token_auth": (
        frozenset({JWT, TOKEN}),
        {"type": "http", "scheme": "bearer"},
    ),
    "url_token_auth": (
        frozenset({TOKEN}),
        {"type": "apiKey", "in": "query", "name": "access_token", "description": "A long-lived token in the URL."},
    ),
    "basic_auth": (frozenset({BASIC}), {"type": "http", "scheme": "basic", "description": "User name and password."}),
}


_BEARER_TOKENS: Final = {JWT: "A JWT of the identity provider", TOKEN: "A long-lived token of this service"}


class InvalidCredentials(Exception):
    """Credentials that do not authenticate the request. `str(error)` is the reason, and holds no part of them."""


def security_schemes(methods: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the `securitySchemes` of the API document for these methods, by their names in the specification."""
    schemes: dict[str, dict[str, Any]] = {
        name: dict(scheme) for name, (offering, scheme) in _SCHEMES.items() if offering & set(methods)
    }
    if "bearer_token_auth" in schemes:
        tokens = [words for method, words in _BEARER_TOKENS.items() if method in methods]
        schemes["bearer_token_auth"]["description"] = f"{' or '.join(tokens)}."
    return schemes


class _Challenge(WWWAuthenticate):
    """A challenge with every value quoted, as RFC 9110 (11.5) demands of `realm` and RFC 6750 of the rest."""

    @override
    def to_header(self) -> str:
        return f"{self.type.title()} " + ", ".join(f'{name}="{value}"' for name, value in self.parameters.items())


def challenges(methods: Collection[str], bearer_error: str | None) -> list[WWWAuthenticate]:
    """Return the `WWW-Authenticate` values: each accepted scheme, and why a bearer token was refused, if one was."""
    values: list[WWWAuthenticate] = []
    if {JWT, TOKEN} & set(methods):
        error = {} if bearer_error is None else {"error": "invalid_token", "error_description": bearer_error}
        values.append(_Challenge("bearer", {"realm": REALM, **error}))
    if BASIC in methods:
        values.append(_Challenge("basic", {"realm": REALM, "charset": "UTF-8"}))
    return values
