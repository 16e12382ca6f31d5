"""Pages of a listing: by key, never by offset, with the headers of the specification.

A page key is the repository's cursor under a signature that is bound to the listing, its path and its direction, so
that no key but one of ours for this very listing ever reaches a repository.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from flask import Response, current_app, request

from tams.api.context import base_url, url_token
from tams.api.responses import json_answer
from tams.api.schemas.queries import query_pairs
from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tams.repository.port import Cursor

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000

PAGE_KEY = "tams_page_key"
"""Where the application keeps the key that signs page keys, in `app.extensions`."""

_SIGNATURE_BYTES = 16
# A token that the request was not authenticated by is none of the next one's business.
_NOT_CARRIED_ON = {"page", "access_token"}
_NOT_OURS = "this is no page key of this listing: take the one of X-Paging-NextKey or Link"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for."""

    limit: int
    after: Cursor | None


def page_key(signing_key: bytes) -> bytes:
    """The key for page keys, made from the service's own, which signs other things too."""
    return hmac.digest(signing_key, b"page keys", "sha256")


def page_request(query: Mapping[str, Any], listing: str) -> PageRequest:
    """The page that a loaded `PagedQuery` asks for. `listing` names what is listed and, where there is a choice, the
    order; path and direction are added here. `Invalid` for a page key that is not ours."""
    limit = min(query.get("limit", DEFAULT_LIMIT), LARGEST_LIMIT)
    page = query.get("page")
    return PageRequest(limit, None if page is None else _cursor(page, listing))


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
    """A page of `count` items as JSON, with its paging headers."""
    paging = {
        "X-Paging-Limit": str(request.limit),
        "X-Paging-Count": str(count),
        "X-Paging-Reverse-Order": "true" if reverse else "false",
    }
    if next is not None:
        pairs = query_pairs()
        key = _signed(next, listing, pairs)
        paging["X-Paging-NextKey"] = key
        paging["Link"] = f'<{_url_of_page(key, pairs)}>; rel="next"'
    if headers:
        paging.update(headers)
    return json_answer(body, headers=paging, signed_urls=signed_urls)


def _url_of_page(key: str, pairs: list[tuple[str, str]]) -> str:
    """The URL of this request with another page key: percent-encoded, so that no comma or semicolon ends the link."""
    kept = [(name, value) for name, value in pairs if name not in _NOT_CARRIED_ON]
    token = url_token()
    if token is not None:
        kept.append(("access_token", token))
    query = urlencode([*kept, ("page", key)], safe="", quote_via=quote, errors="surrogateescape")
    # In the path of the request `%` and `/` inside a segment are encoded already (see tams.api.middleware.raw_path).
    return f"{base_url()}{quote(request.path, safe='/%')}?{query}"


def _signed(cursor: Cursor, listing: str, pairs: list[tuple[str, str]]) -> str:
    backwards = any(name == "reverse_order" and value.lower() == "true" for name, value in pairs)
    content = cursor.encode()
    bound = "\x00".join((request.path, listing, "-" if backwards else "+")).encode() + b"\x00" + content
    signature = hmac.digest(current_app.extensions[PAGE_KEY], bound, "sha256")[:_SIGNATURE_BYTES]
    return urlsafe_b64encode(signature + content).rstrip(b"=").decode()


def _cursor(key: str, listing: str) -> Cursor:
    try:
        content = urlsafe_b64decode(key.encode("ascii") + b"=" * (-len(key) % 4))
        cursor = content[_SIGNATURE_BYTES:].decode()
    except ValueError as error:
        raise Invalid.field("page", _NOT_OURS) from error
    # Whole keys are compared, because several texts decode to the same bytes.
    if not hmac.compare_digest(_signed(cursor, listing, query_pairs()).encode(), key.encode()):
        raise Invalid.field("page", _NOT_OURS)
    return cursor
