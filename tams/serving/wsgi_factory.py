"""The WSGI application of a web process. If only one process may write, this one also does the background work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Flask

from tams.api.context import health_monitor
from tams.app import create_app, open_store
from tams.serving.background_thread import BackgroundThread

if TYPE_CHECKING:
    from tams.config import Settings

logger = logging.getLogger(__name__)

_BACKGROUND = "tams.background_work"


def create_application(settings: Settings) -> Flask:
    """Return the application. Call it in the process that will answer, after any fork."""
    if not settings.one_writer:
        app = create_app(settings)
        health_monitor(app).start()
        return app
    store = open_store(settings)
    app = create_app(settings, store.repository, store.storages)
    health_monitor(app).start()
    app.extensions[_BACKGROUND] = BackgroundThread(store)
    logger.warning(
        "TAMS_VAST_CONCURRENCY is single: this process answers requests and does the background work, and no other one "
        "may write to the database"
    )
    return app


def stop_background_work(app: object, timeout: float) -> None:
    """Stop the threads that `create_application` started; wait `timeout` seconds at most for the background work."""
    if not isinstance(app, Flask):
        return
    health_monitor(app).stop()
    if _BACKGROUND in app.extensions:
        app.extensions[_BACKGROUND].stop(timeout)
