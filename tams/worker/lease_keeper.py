"""Keeping the lease of a job while work on it takes longer than one lease."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from tams.domain.errors import TamsError
from tams.repository.port import Job
from tams.services.store import Store

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """Prolongs the lease of a job from a thread, for `longest` microseconds at most; a context manager.

    `lost` is true once another worker may have the job.
    """

    def __init__(self, store: Store, job: Job, longest: int) -> None:
        self.lost = False
        self._store = store
        self._job = job
        self._seconds = store.settings.job_lease
        self._until = store.now() + longest
        self._prolonged = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        # The lease may have ended while this process was paused, or while the database did not answer.
        if not self.lost and time.monotonic() > self._prolonged + self._seconds:
            self._prolong()

    def _run(self) -> None:
        while not self.lost and not self._ended.wait(self._seconds / 3):
            self._prolong()

    def _prolong(self) -> None:
        job = self._job
        try:
            self.lost = self._store.now() > self._until or not self._store.repository.prolong(job, self._seconds)
        except TamsError as error:
            logger.warning("the lease of job %s %s was not prolonged: %s", job.kind, job.job_id, error)
            return
        if self.lost:
            logger.warning("the lease of job %s %s is lost", job.kind, job.job_id)
        self._prolonged = time.monotonic()
