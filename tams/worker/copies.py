"""Copying Objects to further Storage Backends.

`tams.services.objects.copies` keeps the records of copies, and explains why no bytes leak.
"""

from __future__ import annotations

import logging
import random
from typing import Final

from tams.domain.clock import MICROSECONDS
from tams.domain.objects import Instance
from tams.repository.port import Job
from tams.services.egress import Egress
from tams.services.objects import copies
from tams.services.objects.copies import Copy
from tams.services.store import Store
from tams.storage.port import BackendDown, Storage, StorageError, Stored
from tams.worker.download import DownloadFailed, download
from tams.worker.lease_keeper import LeaseKeeper

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 30
"""A copy is given up after this many attempts, which take some twenty hours."""

_LONGEST_WAIT: Final = 3600  # seconds


def copy_instances(store: Store, egress: Egress, worker: str) -> bool:
    """Work on one copy that is due; return True if there was one."""
    jobs = store.repository.lease(copies.COPY_INSTANCE, worker, 1, store.settings.job_lease)
    for job in jobs:
        _attempt(store, egress, job)
    return bool(jobs)


def _attempt(store: Store, egress: Egress, job: Job) -> None:
    if job.attempts > MOST_ATTEMPTS:
        # The last attempts ended with their process.
        _give_up(store, job)
        return
    copy = copies.begin(store, job)
    if copy is None:
        return
    with LeaseKeeper(store, job, copies.LONGEST_COPY // 2) as lease:
        stored = _copy(store, egress, copy)
    if lease.lost:
        # Another worker has the job; any bytes that it writes are the same.
        return
    if stored is None:
        if job.attempts == MOST_ATTEMPTS:
            _give_up(store, job)
        else:
            # Copies that wait for the same backend are spread over time.
            wait = min(2**job.attempts, _LONGEST_WAIT) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            store.repository.postpone(job, store.now() + int(wait * MICROSECONDS))
    elif copies.complete(store, job, copy):
        logger.info(
            "copied object %s to Storage Backend %s (%s bytes)", copy.item.id, copy.target.storage_id, stored.size
        )
    else:
        logger.info("object %s no longer needs a copy to Storage Backend %s", copy.item.id, copy.target.storage_id)


def _give_up(store: Store, job: Job) -> None:
    object_id, storage_id = job.payload["object_id"], job.payload["storage_id"]
    copies.give_up(store, job)
    logger.error(
        "object %s was not copied to Storage Backend %s: given up after %s attempts",
        object_id,
        storage_id,
        MOST_ATTEMPTS,
    )


def _copy(store: Store, egress: Egress, copy: Copy) -> Stored | None:
    """Copy from the nearest source that works; return None if none does."""
    storage_id, storage_key = copy.target.storage_id, copy.target.storage_key
    storage = None if storage_id is None else store.storages.get(storage_id)
    if storage is None or storage_key is None:
        logger.error(
            "object %s cannot be copied to Storage Backend %s, which is not configured", copy.item.id, storage_id
        )
        return None
    for source in _nearest_first(store, storage, copy.sources):
        try:
            return _copy_from(store, egress, copy, source, storage, storage_key)
        except (StorageError, DownloadFailed) as error:
            logger.warning(
                "object %s could not be copied from %s to Storage Backend %s: %s",
                copy.item.id,
                source.storage_id or f"the URL labelled {source.label}",
                storage_id,
                error,
            )
    return None


def _copy_from(
    store: Store, egress: Egress, copy: Copy, source: Instance, storage: Storage, storage_key: str
) -> Stored:
    if source.storage_id is None or source.storage_key is None:
        return download(egress, source.url, storage, storage_key, copy.item.content_type)
    origin = store.storages.get(source.storage_id)
    if origin is None:
        raise BackendDown("it is not configured")
    return storage.copy(source.storage_key, storage_key, origin)


def _nearest_first(store: Store, storage: Storage, sources: list[Instance]) -> list[Instance]:
    """Sort instances: first those on the target's server, then other Storage Backends, then URLs elsewhere."""

    def distance(source: Instance) -> int:
        if source.storage_id is None:
            return 2
        origin = store.storages.get(source.storage_id)
        return 0 if origin is not None and storage.shares_server(origin) else 1

    return sorted(sources, key=distance)
