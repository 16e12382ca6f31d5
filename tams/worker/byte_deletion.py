"""Deleting bytes whose record is gone. A deletion names a storage key, which never stands for other bytes."""

from __future__ import annotations

import logging

from tams.domain.clock import MICROSECONDS
from tams.repository.port import Job, Write
from tams.services.objects.byte_deletion import DELETE_BYTES
from tams.services.store import Store
from tams.storage.port import StorageError

logger = logging.getLogger(__name__)

_BATCH = 100
_LONGEST_WAIT = 3600 * MICROSECONDS


def delete_bytes(store: Store, worker: str) -> bool:
    """Delete the bytes of a batch of due jobs; True where there may be more to do at once.

    The bytes are deleted again after the last PUT URL for their key has ended, because a client may have written them
    anew in the meantime. A backend that is down delays its deletions and loses none; it is waited for once in a batch.
    """
    jobs = store.repository.lease(DELETE_BYTES, worker, _BATCH, store.settings.job_lease)
    down: set[str] = set()
    finished = [job for job in jobs if _delete(store, job, down)]
    if finished:

        def transact(tx: Write) -> None:
            for job in finished:
                tx.finish(job.kind, job.job_id)

        store.write(transact)
    return len(jobs) == _BATCH


def _delete(store: Store, job: Job, down: set[str]) -> bool:
    """Delete once; True where that was the last time it has to be done. `down` are the backends that failed before."""
    now = store.now()
    storage_id = job.payload["storage_id"]
    storage = store.storages.get(storage_id)
    if storage is None:
        logger.error("Storage Backend %s of key %s is not configured; its bytes stay", storage_id, job.job_id)
        store.repository.postpone(job, now + _LONGEST_WAIT)
        return False
    if storage_id in down:
        _put_off(store, job)
        return False
    try:
        storage.delete(job.job_id)
    except StorageError as error:
        logger.warning("key %s of Storage Backend %s could not be deleted: %s", job.job_id, storage_id, error)
        down.add(storage_id)
        _put_off(store, job)
        return False
    logger.info("deleted key %s of Storage Backend %s", job.job_id, storage_id)
    # A PUT that began just before its URL ended may still be under way for the grace.
    last_put = job.payload["put_until"] + store.settings.object_grace * MICROSECONDS
    if now <= last_put:
        store.repository.postpone(job, last_put + MICROSECONDS)
        return False
    return True


def _put_off(store: Store, job: Job) -> None:
    wait = min(2 ** min(job.attempts, 12) * MICROSECONDS, _LONGEST_WAIT)
    store.repository.postpone(job, store.now() + wait)
