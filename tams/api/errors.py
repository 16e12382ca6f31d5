"""Error responses: a table from exceptions to status codes, and one form of body.

The body has the members of `error.json`, `request_id` and `message`, and, where they apply, `errors` and `blocked_by`.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as RouteNotFound

from tams.api.context import request_id
from tams.api.converters import explain_no_route
from tams.api.middleware.access_log import set_reason
from tams.domain import clock
from tams.domain.errors import (
    Conflict,
    Forbidden,
    IntegrityBroken,
    Invalid,
    NotFound,
    PreconditionFailed,
    TamsError,
    Unavailable,
)
from tams.services.rendering.deletions import blockers_json
from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject, StorageError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

STATUS: dict[type[Exception], HTTPStatus] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    Conflict: HTTPStatus.CONFLICT,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    IntegrityBroken: HTTPStatus.INTERNAL_SERVER_ERROR,
    ChecksumMismatch: HTTPStatus.BAD_REQUEST,
    MissingObject: HTTPStatus.NOT_FOUND,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BackendDown: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Status by exception. A subclass has the status of its nearest base in this table; any other exception is a 500."""

_RETRY_AFTER: Final = 1
_UNEXPECTED: Final = "The server failed; its log has the cause under the request id."
_STORAGE_SUMMARIES: dict[type[StorageError], str] = {
    BackendDown: "A Storage Backend does not respond; try again.",
    TooLarge: "The body has more bytes than the store accepts.",
}


def install(app: Flask) -> None:
    """Register the error handlers, so that every error response of the application has the same form."""
    app.register_error_handler(TamsError, _domain_error)
    app.register_error_handler(StorageError, _storage_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)


def error_body(kind: str, summary: str, request_id: str, members: Mapping[str, Any] | None = None) -> bytes:
    """Return the JSON of an error: the members of `error.json`, `request_id`, `message`, and `members`."""
    body = {
        "type": kind,
        "summary": summary,
        "time": clock.format_time(clock.now()),
        "request_id": request_id,
        "message": summary,
        **(members or {}),
    }
    return orjson.dumps(body)


def status_of(error: Exception) -> HTTPStatus:
    """Return the status code of the response to an error."""
    for base in type(error).__mro__:
        if base in STATUS:
            return STATUS[base]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _domain_error(error: TamsError) -> Response:
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected_error(error)
    members: dict[str, Any] = {}
    headers: list[tuple[str, str]] = []
    if isinstance(error, Invalid) and error.errors:
        members["errors"] = error.errors
    if isinstance(error, Conflict) and error.blocked_by is not None:
        members["blocked_by"] = blockers_json(error.blocked_by)
    if isinstance(error, Unavailable):
        headers.append(("Retry-After", str(error.retry_after)))
    return _error_response(status, type(error).__name__, str(error), members, headers)


def _storage_error(error: StorageError) -> Response:
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected_error(error)
    headers: list[tuple[str, str]] = []
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", str(_RETRY_AFTER)))
    summary = _STORAGE_SUMMARIES.get(type(error)) or str(error) or status.phrase
    # What a backend answers is for the operator only.
    return _error_response(status, type(error).__name__, summary, {}, headers, reason=str(error))


def _http_error(error: HTTPException) -> Response:
    """Return the response to an error of the framework: 404, 405 with `Allow`, 413, 416 with `Content-Range`, …"""
    if isinstance(error.response, Response):
        return error.response
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    if error is request.routing_exception and isinstance(error, RouteNotFound):
        summary = explain_no_route(current_app, request.path)
    else:
        summary = error.description or error.name
    return _error_response(error.code or 500, type(error).__name__, summary, {}, headers)


def _unexpected_error(error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.path, exc_info=error, extra={"request_id": request_id()})
    return _error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", _UNEXPECTED, {}, (), reason=type(error).__name__
    )


def _error_response(
    status: int,
    kind: str,
    summary: str,
    members: dict[str, Any],
    headers: Iterable[tuple[str, str]],
    *,
    reason: str | None = None,
) -> Response:
    """Return an error response. `reason` is for the log, in place of the summary."""
    set_reason(reason or summary)
    body = error_body(kind, summary, request_id(), members)
    response = Response(body, int(status), content_type="application/json")
    response.headers.extend(list(headers))
    return response
