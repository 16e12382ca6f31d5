"""Copies of Objects to further Storage Backends: what is recorded of them, before and after bytes move.

A copy is an instance that is not `ready`, with a key of its own, and a job that names the key; both come into being in
one transaction. Bytes are only ever written under a key of which the database knows, and with the record of an instance
goes, in the same transaction, a job that deletes the bytes under its key (`forget_bytes`). What remains to be seen is
that bytes which arrive after that deletion go too. A copy is allowed until the instance's `put_until`, as an upload is
by its URL, and the deletion is repeated after that moment. So wherever everything is killed:

- before the first transaction is committed: nothing was asked for, nothing is there;
- after it, or while a worker copies: the job comes back when its lease ends, and the next attempt writes the same bytes
  under the same key. Half an upload in parts is no object; it is swept (`tams.worker.deletion`);
- after the bytes are there and before the instance is ready: the same;
- after the instance, or the Object, was deleted, while a worker, or a server that a killed one has asked, goes on: the
  instance's deletion runs at once, and once more after `put_until`, when that work has ended or is of no effect (parts
  that old are swept). A worker that finds its instance gone has the bytes deleted at once. The job of the copy ends
  with its next attempt, which finds nothing to do;
- after the last attempt: the instance goes like any other, and the same holds. It can be asked for again, under a new
  key;
- two workers at once, because the first was paused beyond its lease: both write the same bytes, whole or not at all.
  Only who holds the lease says that they are there.

`put_until` is kept when the instance is ready, for the sake of a worker that was paused, and costs no more than a
second deletion. A worker that sleeps for half of `LONGEST_COPY` in the middle of an attempt, and is killed as soon as
it has written, is the one that `tams storage reconcile` is left to find.
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

logger = logging.getLogger(__name__)

COPY_INSTANCE: Final = "copy-instance"
"""Job kind; its key is the storage key that is copied to."""

LONGEST_COPY: Final = 24 * 3600 * MICROSECONDS
"""An attempt has half of it at least, all attempts together as much as they need."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An Object, and the instance of it that is to be made. Both are as they were when the attempt began."""

    item: Object
    target: Instance

    @property
    def sources(self) -> list[Instance]:
        """The instances that it can be made from."""
        return [instance for instance in self.item.instances if instance.ready]


def queue_copy(tx: Write, item: Object, storage_id: str, key: str, now: int) -> None:
    """Have the Object copied to the key after the commit. The caller has claimed the Object."""
    target = Instance(storage_id, key, put_until=now + LONGEST_COPY, ready=False)
    tx.put_objects([item._replace(instances=(*item.instances, target))])
    tx.enqueue([Job(COPY_INSTANCE, key, {"object_id": item.id, "storage_id": storage_id}, due=now)])


def begin(store: Store, job: Job) -> Copy | None:
    """What the leased job is about; None where there is nothing to do any more, and the job is done.

    For half of `LONGEST_COPY` from now the bytes may be written.
    """
    with store.repository.read() as read:
        copy = _wanted(read, job)
    if copy is not None and copy.target.put_until >= store.now() + LONGEST_COPY // 2:
        return copy

    def transact(tx: Write) -> Copy | None:
        tx.claim(("object", job.payload["object_id"]))
        copy = _wanted(tx, job)
        if copy is None:
            tx.finish(job.kind, job.job_id)
            return None
        target = copy.target._replace(put_until=store.now() + LONGEST_COPY)
        tx.put_objects([_with(copy.item, target)])
        return Copy(copy.item, target)

    return store.write(transact)


def complete(store: Store, job: Job, copy: Copy) -> bool:
    """Show the instance from now on, for its bytes are there. False where it was deleted meanwhile: then they go; or
    where it is shown already."""

    def transact(tx: Write) -> bool:
        tx.claim(("object", copy.item.id))
        tx.finish(job.kind, job.job_id)
        current = _wanted(tx, job)
        if current is None:
            now = store.now()
            # No attempt that ever began is allowed for longer.
            latest = copy.target._replace(put_until=now + LONGEST_COPY)
            if not _is_there(tx, copy):
                forget_bytes(tx, [latest], now)
            return False
        tx.put_objects([_with(current.item, current.target._replace(ready=True))])
        return True

    return store.write(transact)


def give_up(store: Store, job: Job) -> None:
    """Make the copy no more: the instance that was not to be goes, and whatever lies under its key."""

    def transact(tx: Write) -> None:
        tx.claim(("object", job.payload["object_id"]))
        tx.finish(job.kind, job.job_id)
        copy = _wanted(tx, job)
        if copy is not None:
            left = tuple(instance for instance in copy.item.instances if instance.storage_key != job.job_id)
            tx.put_objects([copy.item._replace(instances=left)])
            forget_bytes(tx, [copy.target], store.now())

    store.write(transact)


def _wanted(read: Read, job: Job) -> Copy | None:
    """The copy, while its Object is there and the instance is still to be made."""
    item = read.objects([job.payload["object_id"]]).get(job.payload["object_id"])
    for instance in () if item is None else item.instances:
        if item is not None and instance.storage_key == job.job_id and not instance.ready:
            return Copy(item, instance)
    return None


def _with(item: Object, target: Instance) -> Object:
    """The Object with the instance in place of the one with the same key."""
    return item._replace(
        instances=tuple(
            target if instance.storage_key == target.storage_key else instance for instance in item.instances
        )
    )


def _is_there(read: Read, copy: Copy) -> bool:
    """Whether the Object has the instance: somebody else's attempt made it ready."""
    item = read.objects([copy.item.id]).get(copy.item.id)
    return item is not None and any(instance.storage_key == copy.target.storage_key for instance in item.instances)
