"""The application for a WSGI server. Where only one process may write, its process does the background work, too."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from flask import Flask

from tams.app import create_app, open_store
from tams.domain.errors import Unavailable
from tams.domain.identifiers import new_id

if TYPE_CHECKING:
    from tams.config import Settings
    from tams.services.store import Store

logger = logging.getLogger(__name__)

_WORK = "tams.background_work"


class _BackgroundWork:
    """The background worker as a thread beside those that answer requests, on the same repository."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background-work", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """End it, and let go of the database, so that the next process may write at once."""
        self._stop.set()
        self._thread.join(patience)
        self._store.repository.close()

    def _begin(self) -> None:
        """Be known as the one that writes, at once and not with the first change."""
        try:
            self._store.repository.write(new_id(), lambda _tx: None)
        except Unavailable as error:
            logger.error("This process cannot write yet: %s", error)  # noqa: TRY400 - the sentence says it all

    def _run(self) -> None:
        from tams import worker

        try:
            self._begin()
            worker.run(self._store, self._stop)
        except Exception:
            logger.exception("The background work failed: restart the server")


def create_application(settings: Settings) -> Flask:
    """The application, called in the process that will answer: after any fork."""
    if not settings.one_writer:
        return create_app(settings)
    store = open_store(settings)
    app = create_app(settings, store.repository, store.storages)
    app.extensions[_WORK] = _BackgroundWork(store)
    logger.warning(
        "TAMS_VAST_CONCURRENCY is single: this process answers requests and does the background work, and no other one "
        "may write to the database"
    )
    return app


def stop_background_work(app: object, patience: float) -> None:
    """End what `create_application` started beside the application, if it did; `patience` is in seconds."""
    if isinstance(app, Flask) and _WORK in app.extensions:
        app.extensions[_WORK].stop(patience)
