"""Errors as answers: one table from what went wrong to a status code, one form of body (`error.json` and beside it
`request_id`, `message`, and where they apply `errors` and `blocked_by`)."""

from __future__ import annotations

import logging
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from tams.api.context import request_id
from tams.domain import clock
from tams.domain.errors import Conflict, Forbidden, IntegrityBroken, Invalid, NotFound, TamsError, Unavailable
from tams.storage.port import BackendDown, ChecksumMismatch, MissingObject, StorageError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

STATUS: dict[type[Exception], HTTPStatus] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    IntegrityBroken: HTTPStatus.INTERNAL_SERVER_ERROR,
    ChecksumMismatch: HTTPStatus.BAD_REQUEST,
    MissingObject: HTTPStatus.NOT_FOUND,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BackendDown: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""A subclass has the status of its nearest base here. What is not here is a fault of ours: 500."""

_RETRY_AFTER = 1
_UNKNOWN = "Something went wrong here; the request id leads to the cause in the log."
_STORAGE_SUMMARIES: dict[type[StorageError], str] = {
    BackendDown: "A Storage Backend does not answer; try again.",
    TooLarge: "These are more bytes than the store takes.",
}


def install(app: Flask) -> None:
    """Have every error of the application answered in the one form."""
    app.register_error_handler(TamsError, _answer_domain_error)
    app.register_error_handler(StorageError, _answer_storage_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unknown)


def status_of(error: Exception) -> HTTPStatus:
    """The status that an error is answered with."""
    for base in type(error).__mro__:
        if base in STATUS:
            return STATUS[base]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _answer_domain_error(error: TamsError) -> Response:
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer_unknown(error)
    members: dict[str, Any] = {}
    headers: list[tuple[str, str]] = []
    if isinstance(error, Invalid) and error.errors:
        members["errors"] = error.errors
    if isinstance(error, Conflict) and error.blocked_by is not None:
        members["blocked_by"] = asdict(error.blocked_by)
    if isinstance(error, Unavailable):
        headers.append(("Retry-After", str(error.retry_after)))
        logger.warning("request %s: %s", request_id(), error)
    return _answer(status, type(error).__name__, str(error), members, headers)


def _answer_storage_error(error: StorageError) -> Response:
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer_unknown(error)
    headers: list[tuple[str, str]] = []
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", str(_RETRY_AFTER)))
        logger.warning("request %s: %s", request_id(), error)
    summary = _STORAGE_SUMMARIES.get(type(error)) or str(error) or status.phrase
    return _answer(status, type(error).__name__, summary, {}, headers)


def _answer_http_error(error: HTTPException) -> Response:
    """What the framework refuses: 404, 405 with `Allow`, 413, 416 with `Content-Range`, …"""
    if isinstance(error.response, Response):
        return error.response
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    summary = error.description or error.name
    return _answer(error.code or 500, type(error).__name__, summary, {}, headers)


def _answer_unknown(error: Exception) -> Response:
    logger.error("request %s %s failed", request_id(), request.method, exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", _UNKNOWN, {}, ())


def _answer(
    status: int, kind: str, summary: str, members: dict[str, Any], headers: Iterable[tuple[str, str]]
) -> Response:
    body = {
        "type": kind,
        "summary": summary,
        "time": clock.format_time(clock.now()),
        "request_id": request_id(),
        "message": summary,
        **members,
    }
    response = Response(orjson.dumps(body), int(status), content_type="application/json")
    response.headers.extend(list(headers))
    return response
