"""The access log: an id for each request, and one log line about it.

The line names the route, never the path or the query string: those may hold names and tokens.
"""

from __future__ import annotations

import logging
import re
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from flask import Flask

from tams.api.context import current_request, request_notes
from tams.domain.principals import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

logger = logging.getLogger("tams.access")

REQUEST_ID: Final = "X-Request-ID"
_VALID_ID: Final = re.compile(r"[A-Za-z0-9._:+/=@~-]{1,128}", re.ASCII)
_NO_ROUTE: Final = "-"


def install(app: Flask) -> None:
    """Give every request an id, return it to the client, and log the request once its response is complete."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    client_id = current_request().environ.get("HTTP_X_REQUEST_ID", "")
    noted = request_notes()
    noted.request_id = client_id if _VALID_ID.fullmatch(client_id) else token_hex(16)
    noted.began = perf_counter()


def _end(response: Response) -> Response:
    response.headers.add(REQUEST_ID, request_notes().request_id)
    if logger.isEnabledFor(logging.INFO):
        write = _line_writer(response.status_code)
        if response.is_streamed:
            # A download is complete when its last byte is handed to the server.
            response.call_on_close(write)
        else:
            write()
    return response


def _line_writer(status: int) -> Callable[[], None]:
    """Return a function that writes the line. It may run when the request's context is gone."""
    noted, request = request_notes(), current_request()
    request_id: str = noted.request_id
    began: float = noted.began
    method = request.method
    route = request.url_rule.rule if request.url_rule is not None else _NO_ROUTE
    name = noted.get("principal", ANONYMOUS).name

    def write() -> None:
        fields = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round((perf_counter() - began) * 1000, 1),
            "principal": name,
        }
        logger.handle(fast_record(fields))

    return write


def fast_record(fields: dict[str, Any]) -> logging.LogRecord:
    """Return the log record of a request, with `fields` as its extra attributes.

    Speed-critical: `logger.info(..., extra=fields)` does the same, but walks the stack for the calling line, which is
    always this one. tests/api/test_access_log.py compares the two.
    """
    values = (fields["method"], fields["route"], fields["status"])
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "%s %s %d", values, None)
    vars(record).update(fields)
    return record
