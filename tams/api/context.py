"""The context of the current request: its Store, its principal, its id and the URL of the service."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from flask import Flask, Request, current_app, g, request
from flask.globals import app_ctx, request_ctx

from tams.api.host import requested_host
from tams.domain.principals import ANONYMOUS, Principal
from tams.services.health import HealthMonitor
from tams.services.store import Store

STORE = "tams"
"""The key of the application's `Store` in `app.extensions`."""


HEALTH = "tams.health"
"""The key of the application's `HealthMonitor` in `app.extensions`."""


def health_monitor(app: Flask) -> HealthMonitor:
    """Return the monitor of the application's Store."""
    monitor: HealthMonitor | None = app.extensions.get(HEALTH)
    if monitor is None or monitor.store is not app.extensions[STORE]:
        monitor = app.extensions[HEALTH] = HealthMonitor(app.extensions[STORE])
    return monitor


def store() -> Store:
    """Return the Store of the current application."""
    return cast("Store", current_app.extensions[STORE])


def current_request() -> Request:
    """Return the request itself, for code that reads it several times.

    `flask.request` looks up the current request at each access; a dozen of these take a tenth of the time of a small
    answer.
    """
    return request_ctx.request


def request_notes() -> Any:
    """Return the object behind `flask.g`, which is looked up at each access like `flask.request`."""
    return app_ctx.g


def principal() -> Principal:
    """Return the principal that `tams.api.authentication` found for the request."""
    return cast("Principal", g.get("principal", ANONYMOUS))


def url_token() -> str | None:
    """Return the token in the URL that authenticated the request, or None if it was authenticated another way."""
    return cast("str | None", g.get("url_token"))


def request_id() -> str:
    """Return the id of the request in logs, errors and `X-Request-ID`."""
    return cast("str", g.request_id)


def base_url() -> str:
    """Return the absolute URL of the service without a slash at its end.

    This is `TAMS_PUBLIC_URL` if it is set, otherwise the URL that the client used (as reported by trusted proxies).
    """
    public = store().settings.public_url
    if public is not None:
        return public
    return f"{request.scheme}://{requested_host(request)}{quote(request.root_path)}"
