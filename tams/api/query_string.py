"""The query string of a request, and what a schema loads from it.

A parameter that is repeated with the same value counts once: clients that follow `Link` and add their parameters again
do that. With another value it is 400, because no filter may be dropped. Tag filters are the exception: each of them has
to hold.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from flask import current_app
from itsdangerous import Signer

from tams.api.carried_query import unpack
from tams.api.context import current_request
from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from tams.api.schemas.base import Query

PAGE_SIGNING_KEY: Final = "tams_page_signing_key"
"""Name in `app.extensions` of the key that signs page tokens and what they carry."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_PAIRS: Final = "tams.query_pairs"
# Parameters that belong to no operation.
_CREDENTIALS: Final = {"access_token"}


def query_pairs() -> list[tuple[str, str]]:
    """Return the parameters of the request, in order, decoded. Bytes that are not UTF-8 become lone surrogates."""
    environ = current_request().environ
    raw = environ.get("QUERY_STRING", "")
    if not raw:
        return []
    pairs: list[tuple[str, str]] | None = environ.get(_PAIRS)
    if pairs is None:
        text = raw.encode("latin-1").decode("utf-8", "surrogateescape")
        # Filters, paging and links read them one after the other.
        pairs = environ[_PAIRS] = _complete(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))
    return pairs


def query_signer() -> Signer:
    """Return the signer of the queries that page tokens carry: for the path of the request."""
    signing_key = cast("bytes", current_app.extensions[PAGE_SIGNING_KEY])
    salt = b"query\x00" + current_request().path.encode("utf-8", "surrogateescape")
    return Signer(signing_key, salt=salt, key_derivation="hmac", digest_method=sha256)


def _complete(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the parameters together with those that the page token carries."""
    if all(name != "page" for name, _ in pairs):
        return pairs
    return unpack(pairs, query_signer())


def load_query(schema: Query) -> dict[str, Any]:
    """Return what `schema` loads from the query string.

    Raises:
        Invalid: A parameter that the schema knows is no UTF-8, holds U+0000, or is repeated with another value.
        ValidationError: A parameter is malformed.
    """
    return cast("dict[str, Any]", schema.load(_arguments(schema)))


def _arguments(schema: Query) -> dict[str, Any]:
    """Return the values by parameter; of a `ByName` field (`tag.{name}`) the pairs of name and value."""
    arguments: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for parameter, value in query_pairs():
        prefix, dot, name = parameter.partition(".")
        by_name = f"{prefix}.{{name}}"
        if dot and by_name in schema.parameters:
            if _UNSTORABLE.search(parameter) or _UNSTORABLE.search(value):
                errors[_printable(parameter)] = ["expected UTF-8 without U+0000"]
            arguments.setdefault(by_name, []).append((name, value))
        elif parameter in schema.parameters:
            if _UNSTORABLE.search(value):
                errors[parameter] = ["expected UTF-8 without U+0000"]
            elif arguments.setdefault(parameter, value) != value:
                errors[parameter] = ["given more than once, with different values"]
        elif parameter not in _CREDENTIALS:
            # Known to no field: the schema ignores or refuses it.
            arguments[_printable(parameter)] = value
    if errors:
        raise Invalid("; ".join(f"{parameter}: {messages[0]}" for parameter, messages in errors.items()), errors)
    return arguments


def _printable(parameter: str) -> str:
    """Return the parameter's name without lone surrogates, which JSON cannot hold."""
    return parameter.encode("utf-8", "replace").decode()
