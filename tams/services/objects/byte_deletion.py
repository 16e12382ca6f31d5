"""Removing Objects: a transaction removes the record and queues a job, which deletes the bytes after the commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tams.domain.objects import Instance, Object
from tams.repository.port import Job, Write

DELETE_BYTES = "delete-bytes"
"""Job kind. The job's id is the storage key, which never names any other bytes."""


def forget_bytes(tx: Write, instances: Iterable[Instance], now: int) -> None:
    """Queue the deletion of the bytes of the controlled instances. `now` is in microseconds."""
    tx.enqueue(
        Job(
            DELETE_BYTES,
            instance.storage_key,
            {"storage_id": instance.storage_id, "put_until": instance.put_until},
            due=now,
        )
        for instance in instances
        if instance.controlled and instance.storage_key is not None
    )


def forget_objects(tx: Write, objects: Collection[Object], now: int) -> None:
    """Remove the records of Objects that nothing refers to, and queue the deletion of their bytes."""
    if not objects:
        return
    tx.delete_objects([item.id for item in objects])
    forget_bytes(tx, (instance for item in objects for instance in item.instances), now)


def collect_unreferenced(tx: Write, candidates: Collection[str], now: int) -> list[str]:
    """Remove those of the registered candidates that no Segment and no other Object refers to; return their ids.

    An init Object is removed with the last media Object that refers to it. So the caller has claimed the candidates and
    their init Objects (`tams.domain.segments.object_ids` has both). `now` is in microseconds.
    """
    removed: list[str] = []
    remaining = set(candidates)
    while remaining:
        unreferenced = remaining - tx.still_referenced(remaining)
        objects = [item for item in tx.objects(unreferenced).values() if item.kind is not None]
        forget_objects(tx, objects, now)
        removed += [item.id for item in objects]
        remaining = {item.init_object_id for item in objects if item.init_object_id is not None}
    return removed
