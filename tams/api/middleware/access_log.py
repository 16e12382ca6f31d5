"""The access log: an id for each request, and one log line about it.

Changes and refusals (401, 403, 429) go to the logger `tams.audit`, all other requests to `tams.access`, so that each
request is one line of one of them. The line has the path and the ids in it, never the query or a header: those may hold
credentials.
"""

from __future__ import annotations

import logging
import re
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flask import Flask

from tams.api.context import current_request, request_notes
from tams.domain.principals import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flask import Request, Response

logger = logging.getLogger("tams.access")
audit_logger = logging.getLogger("tams.audit")

REQUEST_ID: Final = "X-Request-ID"
_VALID_ID: Final = re.compile(r"[A-Za-z0-9._:+/=@~-]{1,128}", re.ASCII)
_NO_ROUTE: Final = "-"
_PROBES: Final = "/health"
_CHANGING: Final = frozenset({"POST", "PUT", "DELETE"})
_REFUSED: Final = frozenset({401, 403, 429})
_LONGEST_REASON: Final = 500
# A client that encodes the `?` of its query sends credentials in the path.
_CREDENTIAL: Final = re.compile(r"((?:token|key|secret|password|signature|credential|\bs)=)[^/&;]*", re.IGNORECASE)


def install(app: Flask) -> None:
    """Give every request an id, return it to the client, and log the request once its response is complete."""
    app.before_request(_begin)
    app.after_request(_end)


def set_reason(reason: str) -> None:
    """Have the line of this request say why it was refused or failed."""
    request_notes().reason = reason[:_LONGEST_REASON]


def _begin() -> None:
    client_id = current_request().environ.get("HTTP_X_REQUEST_ID", "")
    noted = request_notes()
    noted.request_id = client_id if _VALID_ID.fullmatch(client_id) else token_hex(16)
    noted.began = perf_counter()


def _end(response: Response) -> Response:
    response.headers.add(REQUEST_ID, request_notes().request_id)
    request = current_request()
    log, level = _destination(request, response.status_code)
    if log.isEnabledFor(level):
        write = _line_writer(request, response, log, level)
        if response.is_streamed:
            # A download is complete when the server closes it.
            response.response = _Counted(response.response, write)
        elif request.method == "HEAD":
            write(0)
        else:
            write(sum(map(len, response.response)))
    return response


def _destination(request: Request, status: int) -> tuple[logging.Logger, int]:
    """Return the logger and the level of the line."""
    if status in _REFUSED:
        return audit_logger, logging.WARNING
    if status >= 500:
        return logger, logging.WARNING
    if status < 300 and request.method in _CHANGING:
        return audit_logger, logging.INFO
    if status < 300 and request.path.startswith(_PROBES):
        return logger, logging.DEBUG
    return logger, logging.INFO


class _Counted:
    """The body of a streamed response: counts its bytes, and calls `write` with the number when it is closed."""

    def __init__(self, body: Iterable[Any], write: Callable[[int], None]) -> None:
        self._body = body
        self._chunks = iter(body)
        self._write = write
        self._sent = 0
        self._is_closed = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        chunk = next(self._chunks)
        self._sent += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the body, and write the line, once."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._write(self._sent)


def _line_writer(request: Request, response: Response, log: logging.Logger, level: int) -> Callable[[int], None]:
    """Return a function that writes the line. It may run when the request's context is gone."""
    noted = request_notes()
    began: float = noted.began
    fields: dict[str, Any] = {
        "request_id": noted.request_id,
        "method": request.method,
        "path": _without_credentials(request.path),
        "route": request.url_rule.rule if request.url_rule is not None else _NO_ROUTE,
        "status": response.status_code,
        "address": request.remote_addr,
        "principal": noted.get("principal", ANONYMOUS).name,
    }
    # A name without this ending (`name`, `key`) could replace an attribute of the record.
    fields |= {name: value for name, value in (request.view_args or {}).items() if name.endswith("_id")}
    if request.content_length:
        fields["request_bytes"] = request.content_length
    if response.status_code == 201 and "Location" in response.headers:
        fields["location"] = urlsplit(response.headers["Location"]).path
    reason = noted.get("reason")
    if reason is not None:
        fields["reason"] = _without_credentials(reason)

    def write(sent: int) -> None:
        fields["bytes"] = sent
        fields["milliseconds"] = round((perf_counter() - began) * 1000, 1)
        log.handle(fast_record(log.name, level, fields))

    return write


def _without_credentials(text: str) -> str:
    return _CREDENTIAL.sub(r"\1***", text) if "=" in text else text


def fast_record(name: str, level: int, fields: dict[str, Any]) -> logging.LogRecord:
    """Return the log record of a request, with `fields` as its extra attributes.

    Speed-critical: `logger.log(level, ..., extra=fields)` does the same, but walks the stack for the calling line,
    which is always this one. tests/api/test_access_log.py compares the two.
    """
    values = (fields["method"], fields["path"], fields["status"])
    record = logging.LogRecord(name, level, __file__, 0, "%s %s %d", values, None)
    vars(record).update(fields)
    return record
