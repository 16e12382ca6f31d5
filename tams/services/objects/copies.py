"""Copies of Objects to further Storage Backends: their records, before and after bytes move.

A copy is an instance that is not `ready`, with a storage key of its own, and a job that names the key. One transaction
stores both. Bytes are only written under a key that the database has. When the record of an instance is removed, the
same transaction queues a job that deletes the bytes under its key (`forget_bytes`). Bytes that arrive after that
deletion have to be deleted too. Therefore a copy is allowed only until the instance's `put_until`, as an upload is by
its URL, and the deletion is repeated after that moment. So the result is right wherever all processes are killed:

- Before the first transaction is committed: nothing was requested, and nothing is stored.
- After it, or while a worker copies: the job comes back when its lease ends, and the next attempt writes the same bytes
  under the same key. Half of a multipart upload is no object; it is swept (`tams.worker.deletion`).
- After the bytes are stored and before the instance is ready: the same.
- After the instance or the Object was deleted, while a worker, or a server that a killed worker has asked, goes on: the
  instance's deletion runs at once, and once more after `put_until`, when that work has ended or has no effect (parts
  that old are swept). A worker that finds its instance gone queues the deletion of the bytes at once. The job of the
  copy ends with its next attempt, which finds nothing to do.
- After the last attempt: the instance is removed like any other, and the same holds. It can be requested again, under a
  new key.
- Two workers at once, because the first was paused beyond its lease: both write the same bytes, all or nothing. Only
  the holder of the lease marks the instance as ready.

`put_until` stays when the instance is ready, for the sake of a worker that was paused; it costs no more than a second
deletion. One case is left to `tams storage reconcile`: a worker that sleeps for half of `LONGEST_COPY` in the middle of
an attempt, and is killed right after it has written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from tams.domain.clock import MICROSECONDS
from tams.domain.objects import Instance, Object
from tams.repository.port import Job, Read, Write
from tams.services.objects.byte_deletion import forget_bytes
from tams.services.store import Store
from tams.services.unit_of_work import claim

logger = logging.getLogger(__name__)

COPY_INSTANCE: Final = "copy-instance"
"""Job kind. The job's id is the storage key of the copy."""

LONGEST_COPY: Final = 24 * 3600 * MICROSECONDS
"""Time for writing after an attempt begins, in microseconds. Each attempt has at least half of it."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An Object and its instance that is to be created, both as they were when the attempt began."""

    item: Object
    target: Instance

    @property
    def sources(self) -> list[Instance]:
        """The instances that bytes can be copied from."""
        return [instance for instance in self.item.instances if instance.ready]


def queue_copy(tx: Write, item: Object, storage_id: str, storage_key: str, now: int) -> None:
    """Queue the copy of the Object to the storage key. The caller has claimed the Object and read it since."""
    target = Instance(storage_id, storage_key, put_until=now + LONGEST_COPY, ready=False)
    tx.put_objects([item._replace(instances=(*item.instances, target))])
    tx.enqueue([Job(COPY_INSTANCE, storage_key, {"object_id": item.id, "storage_id": storage_id}, due=now)])


def begin(store: Store, job: Job) -> Copy | None:
    """Return the copy of the leased job, or None if there is nothing left to do; the job is then finished.

    The bytes may be written for half of `LONGEST_COPY` from now.
    """
    with store.repository.read() as read:
        copy = _pending(_object_of(read, job), job)
    if copy is not None and copy.target.put_until >= store.now() + LONGEST_COPY // 2:
        return copy

    def transact(tx: Write) -> Copy | None:
        claim(tx, [("object", job.payload["object_id"])])
        copy = _pending(_object_of(tx, job), job)
        if copy is None:
            tx.finish(job.kind, job.job_id)
            return None
        target = copy.target._replace(put_until=store.now() + LONGEST_COPY)
        tx.put_objects([_with(copy.item, target)])
        return Copy(copy.item, target)

    return store.write(transact)


def complete(store: Store, job: Job, copy: Copy) -> bool:
    """Mark the instance as ready, because its bytes are stored; return True if it is ready by this call.

    Return False if the instance was deleted meanwhile, and then queue the deletion of its bytes, or if another attempt
    has marked it as ready.
    """

    def transact(tx: Write) -> bool:
        claim(tx, [("object", copy.item.id)])
        item = _object_of(tx, job)
        tx.finish(job.kind, job.job_id)
        current = _pending(item, job)
        if current is None:
            if not _has_instance(item, copy.target):
                now = store.now()
                # No attempt that has begun is allowed to write for longer.
                forget_bytes(tx, [copy.target._replace(put_until=now + LONGEST_COPY)], now)
            return False
        tx.put_objects([_with(current.item, current.target._replace(ready=True))])
        return True

    return store.write(transact)


def give_up(store: Store, job: Job) -> None:
    """Abandon the copy: remove the instance that is not ready, and queue the deletion of the bytes under its key."""

    def transact(tx: Write) -> None:
        claim(tx, [("object", job.payload["object_id"])])
        copy = _pending(_object_of(tx, job), job)
        tx.finish(job.kind, job.job_id)
        if copy is not None:
            left = tuple(instance for instance in copy.item.instances if instance.storage_key != job.job_id)
            tx.put_objects([copy.item._replace(instances=left)])
            forget_bytes(tx, [copy.target], store.now())

    store.write(transact)


def _object_of(read: Read, job: Job) -> Object | None:
    object_id: str = job.payload["object_id"]
    return read.objects([object_id]).get(object_id)


def _pending(item: Object | None, job: Job) -> Copy | None:
    """Return the copy if the Object exists and the job's instance is not ready yet."""
    for instance in () if item is None else item.instances:
        if item is not None and instance.storage_key == job.job_id and not instance.ready:
            return Copy(item, instance)
    return None


def _has_instance(item: Object | None, target: Instance) -> bool:
    return item is not None and any(instance.storage_key == target.storage_key for instance in item.instances)


def _with(item: Object, target: Instance) -> Object:
    """Return the Object with `target` in place of the instance that has the same storage key."""
    return item._replace(
        instances=tuple(
            target if instance.storage_key == target.storage_key else instance for instance in item.instances
        )
    )
