"""The background worker as a thread of the process that answers requests."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tams.domain.errors import Unavailable
from tams.domain.identifiers import new_id

if TYPE_CHECKING:
    from tams.services.store import Store

logger = logging.getLogger(__name__)


class BackgroundThread:
    """The background worker beside the threads that answer requests, on the same repository. It starts at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background-work", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop the worker, waiting `timeout` seconds at most, and release the database, so that the next process may
        write at once.
        """
        self._stop.set()
        self._thread.join(timeout)
        self._store.repository.close()

    def _run(self) -> None:
        from tams import worker

        try:
            self._claim_writing()
            worker.run(self._store, self._stop)
        except Exception:
            logger.exception("The background work failed: restart the server")

    def _claim_writing(self) -> None:
        """Register this process as the only writer at once, before its first change."""
        try:
            self._store.repository.write(new_id(), lambda _tx: None)
        except Unavailable as error:
            logger.error("This process cannot write yet: %s", error)  # noqa: TRY400 - the sentence says it all
