"""Pages of a listing: page tokens, and the paging headers of the specification.

A page token is the repository's cursor, signed by itsdangerous for one listing, path and direction. A repository
therefore only receives cursors that it issued for the same listing.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlencode

from flask import Response, current_app, request
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from tams.api.carried_query import LONGEST_PLAIN_QUERY, pack
from tams.api.context import base_url, url_token
from tams.api.query_string import PAGE_SIGNING_KEY, query_pairs, query_signer
from tams.api.responses import json_response
from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tams.repository.port import Cursor

DEFAULT_LIMIT: Final = 100
LARGEST_LIMIT: Final = 1000

# `page` is replaced; `access_token` is added again only if it authenticated this request.
_DROPPED_PARAMETERS: Final = {"page", "access_token"}
_NOT_ISSUED: Final = "not a page token of this listing; use the value of X-Paging-NextKey, or follow Link"
_OLD_SIGNATURE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a client requests: the number of items, and the cursor that it follows (None: the first page)."""

    limit: int
    after: Cursor | None


def page_signing_key(signing_key: bytes) -> bytes:
    """Return the key that signs page tokens, derived from the service's signing key, which has other uses too."""
    return hmac.digest(signing_key, b"page keys", "sha256")


def page_request(query: Mapping[str, Any], listing: str) -> PageRequest:
    """Return the page that a loaded `PagedQuery` requests.

    `listing` names the items and, for listings with several orders, the order. The request's path and direction are
    added here.

    Raises:
        Invalid: the page token was not issued for this listing, path and direction.
    """
    limit = min(query.get("limit", DEFAULT_LIMIT), LARGEST_LIMIT)
    page_token = query.get("page")
    return PageRequest(limit, None if page_token is None else _cursor(page_token, listing))


def paged(
    body: list[Any] | bytes,
    *,
    count: int,
    next: Cursor | None,  # noqa: A002 - as in `Page`
    request: PageRequest,
    listing: str,
    reverse: bool = False,
    headers: Mapping[str, str] | None = None,
    signed_urls: bool = False,
) -> Response:
    """Return a page of `count` items as JSON, with its paging headers. Bytes are sent as they are."""
    paging = {
        "X-Paging-Limit": str(request.limit),
        "X-Paging-Count": str(count),
        "X-Paging-Reverse-Order": "true" if reverse else "false",
    }
    if next is not None:
        query = query_pairs()
        page_token = _page_token(next, listing, query)
        paging["X-Paging-NextKey"] = page_token
        paging["Link"] = f'<{_page_url(page_token, query)}>; rel="next"'
    if headers:
        paging.update(headers)
    return json_response(body, headers=paging, signed_urls=signed_urls)


def _page_url(page_token: str, query: list[tuple[str, str]]) -> str:
    """Return this request's URL with another page token; its percent-encoding leaves no comma or semicolon.

    A long query is packed into the page token, so that proxies and clients accept the header.
    """
    parameters = [(name, value) for name, value in query if name not in _DROPPED_PARAMETERS]
    encoded = _encoded(parameters)
    if len(encoded) > LONGEST_PLAIN_QUERY:
        page_token = pack(page_token, parameters, query_signer())
        encoded = ""
    access_token = url_token()
    own = [("page", page_token)] if access_token is None else [("access_token", access_token), ("page", page_token)]
    encoded = f"{encoded}&{_encoded(own)}" if encoded else _encoded(own)
    # `request.path` encodes `%` and `/` inside a segment already (see tams.api.middleware.raw_path).
    return f"{base_url()}{quote(request.path, safe='/%')}?{encoded}"


def _encoded(parameters: list[tuple[str, str]]) -> str:
    return urlencode(parameters, safe="", quote_via=quote, errors="surrogateescape")


def _page_token(cursor: Cursor, listing: str, query: list[tuple[str, str]]) -> str:
    return _signer(_scope(listing, query)).sign(base64_encode(cursor)).decode()


def _cursor(page_token: str, listing: str) -> Cursor:
    """Return the cursor in a page token; raise `Invalid` if the token is not one of this listing."""
    query = query_pairs()
    try:
        if "." not in page_token:
            return _cursor_of_old_token(page_token, _scope(listing, query))
        cursor = base64_decode(_signer(_scope(listing, query)).unsign(page_token)).decode()
    except (BadData, ValueError) as error:
        raise Invalid.field("page", _NOT_ISSUED) from error
    # Several texts decode to the same bytes; only the one that was issued is accepted.
    if page_token != _page_token(cursor, listing, query):
        raise Invalid.field("page", _NOT_ISSUED)
    return cursor


def _cursor_of_old_token(page_token: str, scope: bytes) -> Cursor:
    """Return the cursor in a page token of release 0.1.0: base64 of 16 bytes of HMAC and the cursor, without a dot.

    To be removed one release later. Until then, a client that walks through a listing during an upgrade can go on.

    Raises:
        ValueError: the token is malformed, or its signature is wrong.
    """
    content = urlsafe_b64decode(page_token.encode("ascii") + b"=" * (-len(page_token) % 4))
    cursor = content[_OLD_SIGNATURE_BYTES:]
    signature = hmac.digest(_signing_key(), scope + b"\x00" + cursor, "sha256")[:_OLD_SIGNATURE_BYTES]
    issued = urlsafe_b64encode(signature + cursor).rstrip(b"=").decode()
    if not hmac.compare_digest(issued, page_token):
        raise ValueError("the signature is wrong")
    return cursor.decode()


def _scope(listing: str, query: list[tuple[str, str]]) -> bytes:
    """Return what a page token is bound to: the path, the listing and the direction."""
    reverse = any(name == "reverse_order" and value.lower() == "true" for name, value in query)
    return "\x00".join((request.path, listing, "-" if reverse else "+")).encode()


def _signer(scope: bytes) -> Signer:
    return Signer(_signing_key(), salt=scope, key_derivation="hmac", digest_method=sha256)


def _signing_key() -> bytes:
    return cast("bytes", current_app.extensions[PAGE_SIGNING_KEY])
