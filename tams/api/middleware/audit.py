"""The audit log: a line of the logger `tams.audit` for each change and each refusal.

A line names the resource by its path, which holds no credentials. It leaves out the query, which may hold some, and
paths without a route.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flask import Flask, request

from tams.api.context import current_request, principal, request_id

if TYPE_CHECKING:
    from flask import Response

logger = logging.getLogger("tams.audit")

_CHANGING: Final = frozenset({"POST", "PUT", "DELETE"})
_REFUSED: Final = frozenset({401, 403, 429})
_NO_ROUTE: Final = "-"


def install(app: Flask) -> None:
    """Write an audit line for each change and each refusal of the application."""
    app.after_request(_record)


def _record(response: Response) -> Response:
    status = response.status_code
    if status in _REFUSED:
        if logger.isEnabledFor(logging.WARNING):
            logger.warning("refused %s %s", _action(), _resource(response), extra=_fields(status))
    elif current_request().method in _CHANGING and status < 300 and logger.isEnabledFor(logging.INFO):
        logger.info("done %s %s", _action(), _resource(response), extra=_fields(status))
    return response


def _action() -> str:
    rule = request.url_rule
    return f"{request.method} {rule.rule if rule is not None else _NO_ROUTE}"


def _resource(response: Response) -> str:
    if request.url_rule is None:
        return _NO_ROUTE
    # A resource that was created under an id of the store's choice has its path in `Location`.
    location = response.headers.get("Location") if response.status_code == 201 else None
    return urlsplit(location).path if location else request.path


def _fields(status: int) -> dict[str, object]:
    return {
        "request_id": request_id(),
        "principal": principal().name,
        "status": status,
        "address": request.remote_addr,
    }
