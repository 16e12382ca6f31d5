"""Who changed what, and who was refused: a line of the logger `tams.audit` for each.

It names the resource by its path, which holds no credentials. The query, which may, is left out, and so is a path that
leads nowhere.
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
_NOWHERE: Final = "-"


def install(app: Flask) -> None:
    """Write the lines."""
    app.after_request(_record)


def _record(response: Response) -> Response:
    status = response.status_code
    if status in _REFUSED:
        if logger.isEnabledFor(logging.WARNING):
            logger.warning("refused %s %s", _action(), _resource(response), extra=_told(status))
    elif current_request().method in _CHANGING and status < 300 and logger.isEnabledFor(logging.INFO):
        logger.info("done %s %s", _action(), _resource(response), extra=_told(status))
    return response


def _action() -> str:
    rule = request.url_rule
    return f"{request.method} {rule.rule if rule is not None else _NOWHERE}"


def _resource(response: Response) -> str:
    if request.url_rule is None:
        return _NOWHERE
    # What was created under an id that the store made has its path there.
    location = response.headers.get("Location") if response.status_code == 201 else None
    return urlsplit(location).path if location else request.path


def _told(status: int) -> dict[str, object]:
    return {
        "request_id": request_id(),
        "principal": principal().name,
        "status": status,
        "address": request.remote_addr,
    }
