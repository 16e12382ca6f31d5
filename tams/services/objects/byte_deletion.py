"""Forgetting Objects: the record goes with the transaction, the bytes follow by a job once it is committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tams.domain.objects import Instance, Object
from tams.repository.port import Job, Write

DELETE_BYTES = "delete-bytes"
"""Job kind; its key is the storage key, which names these bytes and no others, ever."""


def forget_bytes(tx: Write, instances: Iterable[Instance], now: int) -> None:
    """Have the bytes of the controlled instances deleted after the commit. `now` in microseconds."""
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
    """Remove the records of Objects that nothing refers to, and have their bytes deleted after the commit."""
    if not objects:
        return
    tx.delete_objects([item.id for item in objects])
    forget_bytes(tx, (instance for item in objects for instance in item.instances), now)


def collect_unreferenced(tx: Write, candidates: Collection[str], now: int) -> list[str]:
    """Forget those of the registered candidates that no Segment and no other Object needs any more; their ids.

    The caller has claimed the candidates. Where the last media Object that needed an init Object goes, the init Object
    goes too, so its id has to be claimed as well (see `with_init_objects`).
    """
    gone: list[str] = []
    round_of = set(candidates)
    while round_of:
        free = round_of - tx.still_referenced(round_of)
        objects = [item for item in tx.objects(free).values() if item.kind is not None]
        forget_objects(tx, objects, now)
        gone += [item.id for item in objects]
        round_of = {item.init_object_id for item in objects if item.init_object_id is not None}
    return gone
