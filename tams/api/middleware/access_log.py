"""The id of each request, and one line about it in the log.

The line names the route and never the path, and no query string: paths and queries may hold names and tokens.
"""

from __future__ import annotations

import logging
import re
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Flask

from tams.api.context import current_request, notes
from tams.domain.principals import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

logger = logging.getLogger("tams.access")

REQUEST_ID = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._:+/=@~-]{1,128}", re.ASCII)
_NO_ROUTE = "-"


def install(app: Flask) -> None:
    """Give every request an id, tell it to the client, and log the request when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = current_request().environ.get("HTTP_X_REQUEST_ID", "")
    noted = notes()
    noted.request_id = given if _SANE.fullmatch(given) else token_hex(16)
    noted.began = perf_counter()


def _end(response: Response) -> Response:
    response.headers.add(REQUEST_ID, notes().request_id)
    if logger.isEnabledFor(logging.INFO):
        line = _line(response.status_code)
        if response.is_streamed:
            # A download is answered when its last byte is handed over.
            response.call_on_close(line)
        else:
            line()
    return response


def _line(status: int) -> Callable[[], None]:
    noted, request = notes(), current_request()
    request_id: str = noted.request_id
    began: float = noted.began
    method = request.method
    route = request.url_rule.rule if request.url_rule is not None else _NO_ROUTE
    name = noted.get("principal", ANONYMOUS).name

    def write() -> None:
        milliseconds = round((perf_counter() - began) * 1000, 1)
        told = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": milliseconds,
            "principal": name,
        }
        # Made by hand: `info` would look for the line of code that it is called from, which is always this one.
        record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s %s %d", (method, route, status), None)
        vars(record).update(told)
        logger.handle(record)

    return write
