"""JSON answers: written by orjson, tagged by their bytes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response

from tams.api.context import current_request

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON = "application/json"


def json_answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, signed_urls: bool = False
) -> Response:
    """`body` as JSON; bytes are taken to be JSON already.

    A 200 to GET or HEAD has a strong `ETag`, and is 304 where `If-None-Match` names it. An answer with signed URLs
    (`signed_urls`) changes each time and must not be kept: it has none, and `Cache-Control: no-store`.
    """
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    fields = [("Content-Type", _JSON)]
    if headers:
        fields += headers.items()
    if signed_urls:
        fields.append(("Cache-Control", "no-store"))
    elif status == 200 and (request := current_request()).method in {"GET", "HEAD"}:
        # Most processors have instructions for this one: of a large page it takes half the time of any other.
        etag = sha256(content).hexdigest()[:32]
        fields.append(("ETag", f'"{etag}"'))
        if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(etag):
            # What RFC 9110 (15.4.5) wants in a 304, and the paging headers, which may have changed beside the same
            # bytes.
            return Response(b"", 304, fields)
    return Response(content, status, fields)


def no_content(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without body: 204, or a 200 or 201 for which the specification defines none."""
    response = Response(b"", status, headers)
    del response.headers["Content-Type"]
    return response
