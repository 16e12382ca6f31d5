"""Deleting bytes whose record is gone. A deletion names a storage key, which never stands for other bytes."""

from __future__ import annotations

import logging

from tams.domain.clock import MICROSECONDS
from tams.repository.port import Job, Write
from tams.services.bytes import DELETE_BYTES
from tams.services.store import Store
from tams.storage.port import StorageError

logger = logging.getLogger(__name__)

_BATCH = 100
_LONGEST_WAIT = 3600 * MICROSECONDS
# A PUT that began just before its URL ended may still be under way for a while.
_AFTER_LAST_PUT = 60 * MICROSECONDS


def delete_bytes(store: Store, worker: str) -> bool:
    """Delete the bytes of a batch of due jobs; True where there may be more to do at once.

    The bytes are deleted again after the last PUT URL for their key has ended, because a client may have written them
    anew in the meantime. A backend that is down delays its deletions and loses none.
    """
    jobs = store.repository.lease(DELETE_BYTES, worker, _BATCH, store.settings.job_lease)
    finished = [job for job in jobs if _delete(store, job)]
    if finished:

        def body(tx: Write) -> None:
            for job in finished:
                tx.finish(job.kind, job.key)

        store.write(body)
    return len(jobs) == _BATCH


def _delete(store: Store, job: Job) -> bool:
    """Delete once; True where that was the last time it has to be done."""
    now = store.now()
    storage_id = job.payload["storage_id"]
    storage = store.storages.get(storage_id)
    if storage is None:
        logger.error("Storage Backend %s of key %s is not configured; its bytes stay", storage_id, job.key)
        store.repository.postpone(job, now + _LONGEST_WAIT)
        return False
    try:
        storage.delete(job.key)
    except StorageError as error:
        wait = min(2 ** min(job.attempts, 12) * MICROSECONDS, _LONGEST_WAIT)
        logger.warning("key %s of Storage Backend %s could not be deleted: %s", job.key, storage_id, error)
        store.repository.postpone(job, now + wait)
        return False
    logger.info("deleted key %s of Storage Backend %s", job.key, storage_id)
    if now <= job.payload["put_until"]:
        store.repository.postpone(job, job.payload["put_until"] + _AFTER_LAST_PUT)
        return False
    return True
