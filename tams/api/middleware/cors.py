"""Cross-origin requests (CORS): the origins whose pages may call the API from a browser. Off unless configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response, request

from tams.api import digests
from tams.api.responses import no_content

if TYPE_CHECKING:
    from collections.abc import Collection

METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, "
    f"Cache-Control, Pragma, X-Requested-With, X-Request-ID, {', '.join(digests.HEADERS)}, x-amz-sdk-checksum-algorithm"
)
EXPOSED_HEADERS = (
    "Link, Location, ETag, X-Paging-Limit, X-Paging-NextKey, X-Paging-Count, X-Paging-Reverse-Order, "
    "X-Paging-Timerange, X-Request-ID, Content-Range, Accept-Ranges, Retry-After"
)
_MAX_AGE = "7200"


def install(app: Flask, origins: Collection[str]) -> None:
    """Allow pages of these origins to call the application (`*`: any origin). Without origins, change nothing."""
    if not origins:
        return
    any_origin = "*" in origins

    def answer_preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        response = no_content()
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = _MAX_AGE
        return response

    def allow_origin(response: Response) -> Response:
        if any_origin:
            response.headers["Access-Control-Allow-Origin"] = "*"
        else:
            response.vary.add("Origin")
            origin = request.headers.get("Origin")
            if origin not in origins:
                return response
            response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        return response

    app.before_request(answer_preflight)
    app.after_request(allow_origin)
