"""The longest first line of a request that the server reads."""

from __future__ import annotations

import re
from typing import Final

from gunicorn.http.errors import LimitRequestLine
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from typing_extensions import override

LONGEST_REQUEST_LINE: Final = 8190
"""Bytes of the longest line of a client: method, target and version, without the page token."""

LONGEST_LINE_WITH_PAGE: Final = 16380
"""Bytes of the longest line with a page token. The token of a `Link` may carry filters of `LONGEST_REQUEST_LINE`."""

_PAGE_TOKEN: Final = re.compile(rb"[?&]page=[^&#\s]*")


class HttpRequest(Request):
    """A request whose line may be longer by its page token.

    The next page of a request that was accepted must not be refused, and its URL has a page token more. gunicorn's own
    limit is 8190 at most, or none.
    """

    @property
    def limit_request_line(self) -> int:
        """Return the limit that gunicorn's parser applies while it reads the line."""
        return LONGEST_LINE_WITH_PAGE

    @limit_request_line.setter
    def limit_request_line(self, _limit: int) -> None:
        """Ignore the limit of the configuration."""

    @override
    def parse_request_line(self, line_bytes: bytes) -> None:
        if len(line_bytes) > LONGEST_REQUEST_LINE:
            page_token = _PAGE_TOKEN.search(line_bytes)
            length = len(line_bytes) - (len(page_token[0]) if page_token else 0)
            if length > LONGEST_REQUEST_LINE:
                raise LimitRequestLine(length, LONGEST_REQUEST_LINE)
        super().parse_request_line(line_bytes)


class HttpRequestParser(RequestParser):
    """The parser of a connection, which makes `HttpRequest`s."""

    mesg_class = HttpRequest
