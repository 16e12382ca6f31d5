"""Deletions in the background: Segments of Flow Delete Requests, bytes, unused allocations, unfinished uploads.

A byte deletion names a storage key, which never stands for other bytes.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from tams.domain.clock import MICROSECONDS
from tams.repository.port import Job, Key, Write
from tams.services.deletion import delete_requests
from tams.services.objects.byte_deletion import DELETE_BYTES, forget_objects
from tams.services.store import Store
from tams.storage.port import StorageError

logger = logging.getLogger(__name__)

LONGEST_UPLOAD: Final = 24 * 3600
"""Seconds after which an upload that has not ended is considered abandoned."""

_BATCH: Final = 100
_LONGEST_WAIT: Final = 3600 * MICROSECONDS


def delete_segments(store: Store, worker: str) -> bool:
    """Work on one due Flow Delete Request for half of its lease; return True if there may be more to do at once."""
    pace = store.repository.pace
    jobs = store.repository.lease(delete_requests.KIND, worker, 1, store.settings.job_lease)
    for job in jobs:
        deadline = time.monotonic() + store.settings.job_lease / 2
        batch_start = time.monotonic()
        while delete_requests.advance(store, job.job_id, pace.batch):
            if time.monotonic() > deadline:
                store.repository.postpone(job, store.now())
                break
            time.sleep(pace.pause * (time.monotonic() - batch_start))
            batch_start = time.monotonic()
    return bool(jobs)


def forget_requests(store: Store, worker: str) -> bool:
    """Remove the records of Flow Delete Requests whose retention has ended; return True if there may be more."""
    jobs = store.repository.lease(delete_requests.FORGET, worker, _BATCH, store.settings.job_lease)
    for job in jobs:
        delete_requests.forget(store, job.job_id)
    return bool(jobs)


def delete_bytes(store: Store, worker: str) -> bool:
    """Delete the bytes of a batch of due jobs; return True if there may be more to do at once.

    Bytes are deleted again after the last PUT URL for their key has ended, because a client may have uploaded them
    again in the meantime. A backend that is down delays its deletions and loses none. Each batch tries such a backend
    only once.
    """
    jobs = store.repository.lease(DELETE_BYTES, worker, _BATCH, store.settings.job_lease)
    unavailable: set[str] = set()
    finished = [job for job in jobs if _delete(store, job, unavailable)]
    if finished:

        def transact(tx: Write) -> None:
            for job in finished:
                tx.finish(job.kind, job.job_id)

        store.write(transact)
    return len(jobs) == _BATCH


def collect_allocations(store: Store) -> bool:
    """Forget a batch of allocated Objects that were not registered in time; return True if there may be more.

    The time is `min_object_timeout` of the specification, and a grace. A registration at the same moment wins or loses
    as a whole, because both claim the Object.
    """
    settings = store.settings
    now = store.now()
    latest = now - (settings.min_object_timeout + settings.object_grace) * MICROSECONDS
    with store.repository.read() as read:
        expired = [item.id for item in read.allocations_before(latest, after=None, limit=_BATCH).items]
    if not expired:
        return False

    def transact(tx: Write) -> int:
        object_keys: list[Key] = [("object", object_id) for object_id in expired]
        tx.claim(*object_keys)
        unused = [item for item in tx.objects(expired).values() if item.kind is None and item.created < latest]
        forget_objects(tx, unused, now)
        return len(unused)

    count = store.write(transact)
    logger.info("collected %s object(s) that were never registered", count)
    return len(expired) == _BATCH


def sweep_uploads(store: Store) -> bool:
    """Remove the remains of unfinished uploads and copies from each Storage Backend; always return False.

    A backend that is down is left to the next sweep. One sweep removes everything that there is.
    """
    for storage in store.storages.values():
        try:
            count = storage.sweep(LONGEST_UPLOAD)
        except StorageError as error:
            logger.warning("Storage Backend %s was not swept: %s", storage.backend.id, error)
            continue
        if count:
            logger.info("removed %s unfinished upload(s) of Storage Backend %s", count, storage.backend.id)
    return False


def _delete(store: Store, job: Job, unavailable: set[str]) -> bool:
    """Delete the bytes of one job; return True if they need not be deleted again.

    `unavailable` holds the backends that failed in this batch.
    """
    now = store.now()
    storage_id = job.payload["storage_id"]
    storage = store.storages.get(storage_id)
    if storage is None:
        logger.error("Storage Backend %s of key %s is not configured; its bytes stay", storage_id, job.job_id)
        store.repository.postpone(job, now + _LONGEST_WAIT)
        return False
    if storage_id in unavailable:
        _postpone(store, job)
        return False
    try:
        storage.delete(job.job_id)
    except StorageError as error:
        logger.warning("key %s of Storage Backend %s could not be deleted: %s", job.job_id, storage_id, error)
        unavailable.add(storage_id)
        _postpone(store, job)
        return False
    logger.info("deleted key %s of Storage Backend %s", job.job_id, storage_id)
    # A PUT that began just before its URL ended may still be under way during the grace.
    last_put = job.payload["put_until"] + store.settings.object_grace * MICROSECONDS
    if now <= last_put:
        store.repository.postpone(job, last_put + MICROSECONDS)
        return False
    return True


def _postpone(store: Store, job: Job) -> None:
    wait = min(2 ** min(job.attempts, 12) * MICROSECONDS, _LONGEST_WAIT)
    store.repository.postpone(job, store.now() + wait)
