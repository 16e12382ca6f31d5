"""Copying Objects to further Storage Backends. What is recorded of it, and why nothing leaks, is in
`tams.services.objects.copies`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from types import TracebackType
from typing import Final, Self

from tams.domain.clock import MICROSECONDS
from tams.domain.errors import TamsError
from tams.domain.objects import Instance
from tams.repository.port import Job
from tams.services.egress import Outbound
from tams.services.objects import copies
from tams.services.objects.copies import Copy
from tams.services.store import Store
from tams.storage.port import BackendDown, Storage, StorageError, Stored
from tams.worker.download import DownloadFailed, download

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 30
"""Tried so often, over some twenty hours, a copy is given up."""

_LONGEST_WAIT: Final = 3600


def copy_instances(store: Store, outbound: Outbound, worker: str) -> bool:
    """Work on one copy that is due; True where there was one."""
    jobs = store.repository.lease(copies.COPY_INSTANCE, worker, 1, store.settings.job_lease)
    for job in jobs:
        _attempt(store, outbound, job)
    return bool(jobs)


def _attempt(store: Store, outbound: Outbound, job: Job) -> None:
    if job.attempts > MOST_ATTEMPTS:
        # The last attempts did not even come to their end.
        _give_up(store, job)
        return
    copy = copies.begin(store, job)
    if copy is None:
        return
    with _Lease(store, job) as lease:
        stored = _copy(store, outbound, copy)
    if lease.lost:
        # Another worker looks after it; the bytes, if any, are the same.
        return
    if stored is None:
        if job.attempts == MOST_ATTEMPTS:
            _give_up(store, job)
        else:
            # Not all at once, where many wait for the same backend.
            wait = min(2**job.attempts, _LONGEST_WAIT) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            store.repository.postpone(job, store.now() + int(wait * MICROSECONDS))
    elif copies.complete(store, job, copy):
        logger.info(
            "copied object %s to Storage Backend %s (%s bytes)", copy.item.id, copy.target.storage_id, stored.size
        )
    else:
        logger.info("object %s needs no copy to Storage Backend %s any more", copy.item.id, copy.target.storage_id)


def _give_up(store: Store, job: Job) -> None:
    object_id, storage_id = job.payload["object_id"], job.payload["storage_id"]
    copies.give_up(store, job)
    logger.error("object %s was not copied to Storage Backend %s: given up", object_id, storage_id)


def _copy(store: Store, outbound: Outbound, copy: Copy) -> Stored | None:
    """Copy from the first of the sources that can be copied from."""
    storage_id, key = copy.target.storage_id, copy.target.storage_key
    storage = None if storage_id is None else store.storages.get(storage_id)
    if storage is None or key is None:
        logger.error("Storage Backend %s, where object %s is to be copied, is not configured", storage_id, copy.item.id)
        return None
    for source in _nearest_first(store, storage, copy.sources):
        try:
            return _copy_from(store, outbound, copy, source, storage, key)
        except (StorageError, DownloadFailed) as error:
            logger.warning(
                "object %s could not be copied from %s to Storage Backend %s: %s",
                copy.item.id,
                source.storage_id or f"the URL labelled {source.label}",
                storage_id,
                error,
            )
    return None


def _copy_from(store: Store, outbound: Outbound, copy: Copy, source: Instance, storage: Storage, key: str) -> Stored:
    if source.storage_id is None or source.storage_key is None:
        return download(outbound, source.url, storage, key, copy.item.content_type)
    origin = store.storages.get(source.storage_id)
    if origin is None:
        raise BackendDown("it is not configured")
    return storage.copy(source.storage_key, key, origin)


def _nearest_first(store: Store, storage: Storage, sources: list[Instance]) -> list[Instance]:
    """Instances that the server of the target has, then those in other Storage Backends, then those elsewhere."""

    def distance(source: Instance) -> int:
        if source.storage_id is None:
            return 2
        origin = store.storages.get(source.storage_id)
        return 0 if origin is not None and storage.shares_server(origin) else 1

    return sorted(sources, key=distance)


class _Lease:
    """Prolongs the lease of a job for as long as the work on it goes on. `lost` where another worker has it now."""

    def __init__(self, store: Store, job: Job) -> None:
        self.lost = False
        self._store = store
        self._job = job
        self._seconds = store.settings.job_lease
        self._until = store.now() + copies.LONGEST_COPY // 2
        self._held = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="hold-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        # This process was paused, or the database away.
        if not self.lost and time.monotonic() > self._held + self._seconds:
            self._prolong()

    def _hold(self) -> None:
        while not self.lost and not self._ended.wait(self._seconds / 3):
            self._prolong()

    def _prolong(self) -> None:
        try:
            self.lost = self._store.now() > self._until or not self._store.repository.prolong(self._job, self._seconds)
        except TamsError as error:
            logger.warning("the lease of the copy to key %s was not prolonged: %s", self._job.job_id, error)
            return
        if self.lost:
            logger.warning("the lease of the copy to key %s is lost", self._job.job_id)
        self._held = time.monotonic()
