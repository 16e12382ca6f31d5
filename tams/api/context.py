"""What a view needs to know of the request it answers."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from flask import Request, current_app, g, request
from flask.globals import app_ctx, request_ctx

from tams.domain.principals import ANONYMOUS, Principal
from tams.services.store import Store

STORE = "tams"
"""Where the application keeps its `Store`, in `app.extensions`."""


def store() -> Store:
    """The Store of the application that answers."""
    return cast("Store", current_app.extensions[STORE])


def current_request() -> Request:
    """The request itself, for whoever looks at it several times: `flask.request` finds out anew each time whose it is,
    and some dozen times of that are a tenth of a small answer."""
    return request_ctx.request


def notes() -> Any:
    """`flask.g` itself, in the same way."""
    return app_ctx.g


def principal() -> Principal:
    """On whose behalf the request is made, as `tams.api.authentication` found out."""
    return cast("Principal", g.get("principal", ANONYMOUS))


def url_token() -> str | None:
    """The token in the URL by which the request was authenticated, if that was how."""
    return cast("str | None", g.get("url_token"))


def request_id() -> str:
    """The id of the request in logs, errors and `X-Request-ID`."""
    return cast("str", g.request_id)


def base_url() -> str:
    """The absolute URL of the service without a slash at its end.

    `TAMS_PUBLIC_URL` where it is set, else what the client used (as told by trusted proxies).
    """
    public = store().settings.public_url
    if public is not None:
        return public
    return f"{request.scheme}://{request.host}{quote(request.root_path)}"
