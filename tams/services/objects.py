"""Objects, and the instances of their bytes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tams.domain.errors import Forbidden, Invalid, NotFound
from tams.domain.filters import TagFilter
from tams.domain.limits import MOST_URLS, check_count
from tams.domain.objects import Instance, Object
from tams.repository.port import Cursor, Read, Write
from tams.services.bytes import forget_bytes
from tams.services.copies import queue_copy
from tams.services.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """An Object, its init Object, and a page of the ids of the Flows that refer to it."""

    object: Object
    init_object: Object | None
    referenced_by_flows: list[str]
    next: Cursor | None


def get(store: Store, object_id: str, flow_tags: TagFilter, after: Cursor | None, limit: int) -> ObjectDetails:
    """The Object and a page of the Flows, with tags that `flow_tags` matches, that refer to it; an init Object through
    the media that need it. `NotFound`, also while it is allocated and not registered.
    """
    with store.repository.read() as read:
        item = _registered(read, object_id)
        references = read.references(object_id, flow_tags, after, limit)
        init_object = None if item.init_object_id is None else read.objects([item.init_object_id])[item.init_object_id]
    return ObjectDetails(item, init_object, references.items, references.next)


def check_exists(store: Store, object_id: str) -> None:
    """`NotFound` unless there is such an Object, be it registered or only allocated."""
    with store.repository.read() as read:
        if object_id not in read.objects([object_id]):
            raise _unknown()


def check_registered(store: Store, object_id: str) -> None:
    """`NotFound` unless there is such an Object, registered: what is checked before a request's body is looked at."""
    with store.repository.read() as read:
        _registered(read, object_id)


def add_controlled_instance(store: Store, object_id: str, storage_id: str) -> None:
    """Have the Object copied to the Storage Backend; where it has an instance there, ready or under way, that is all.

    The instance is shown when its bytes are there (specification, `POST /objects/{objectId}/instances`). `NotFound`;
    `Invalid` for an unknown Storage Backend.
    """
    key = store.storage(storage_id).new_key(object_id)

    def body(tx: Write) -> bool:
        tx.claim(("object", object_id))
        item = _registered(tx, object_id)
        if any(instance.storage_id == storage_id for instance in item.instances):
            return False
        queue_copy(tx, item, storage_id, key, store.now())
        return True

    if store.write(body):
        logger.info("object %s is to be copied to Storage Backend %s", object_id, storage_id)


def add_uncontrolled_instance(store: Store, object_id: str, url: str, label: str) -> None:
    """Add a URL outside the Storage Backends; one that is there already, under the same label, is not added twice.

    `NotFound`; `Invalid` where the label is another instance's or a Storage Backend's.
    """

    def body(tx: Write) -> None:
        tx.claim(("object", object_id))
        item = _registered(tx, object_id)
        if any(storage.backend.label == label for storage in store.storages.values()):
            raise Invalid.field("label", "it is the label of a Storage Backend")
        for instance in item.instances:
            if instance.label == label:
                if instance.url != url:
                    raise Invalid.field("label", "another instance of this Object has it")
                return
        check_count("instances", sum(instance.url is not None for instance in item.instances) + 1, MOST_URLS)
        tx.put_objects([item._replace(instances=(*item.instances, Instance(url=url, label=label)))])

    store.write(body)


def delete_instance(store: Store, object_id: str, *, storage_id: str | None, label: str | None) -> None:
    """Remove the instance in the Storage Backend, or the one that `get_urls` shows under the label; bytes under the
    store's control follow.

    `NotFound`, also for an instance that is not there; `Invalid` for the last instance of the Object.
    """
    labels = {storage.backend.id: storage.backend.label for storage in store.storages.values()}

    def chosen(instance: Instance) -> bool:
        if storage_id is not None:
            return instance.storage_id == storage_id
        return label == (labels.get(instance.storage_id) if instance.storage_id is not None else instance.label)

    def body(tx: Write) -> None:
        tx.claim(("object", object_id))
        item = _registered(tx, object_id)
        gone = [instance for instance in item.instances if chosen(instance)]
        left = [instance for instance in item.instances if not chosen(instance)]
        if not gone:
            raise NotFound("the Object has no such instance")
        if not any(instance.ready for instance in left):
            raise Invalid(
                "This is the Object's last instance: delete the Segments that use the Object to be rid of it.",
                {"label" if storage_id is None else "storage_id": ["the last instance of the Object"]},
            )
        tx.put_objects([item._replace(instances=tuple(left))])
        forget_bytes(tx, gone, store.now())

    store.write(body)
    logger.info("Deleted the instance %s of object %s", storage_id or label, object_id)


def may_upload(store: Store, object_id: str, storage_id: str, key: str) -> None:
    """Raise unless bytes may be put under the key now, by whoever may write to the store.

    `NotFound` where the key was not given out for that Object; `Forbidden` where the Object is registered, for its
    bytes never change then, or the time given for it has passed.
    """
    with store.repository.read() as read:
        item = read.objects([object_id]).get(object_id)
    for instance in item.instances if item is not None else ():
        if instance.storage_id == storage_id and instance.key == key:
            if item is not None and item.kind is not None:
                raise Forbidden("the Object is registered: its bytes do not change any more")
            if store.now() >= instance.put_until:
                raise Forbidden("the time for this upload has passed: ask for new storage")
            return
    raise NotFound("no Object has its bytes at this address")


def _registered(read: Read, object_id: str) -> Object:
    item = read.objects([object_id]).get(object_id)
    if item is None or item.kind is None:
        raise _unknown()
    return item


def _unknown() -> NotFound:
    return NotFound("there is no Object with this id")
