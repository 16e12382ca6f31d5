"""Objects, and the instances of their bytes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tams.domain.access import Access
from tams.domain.errors import Forbidden, Invalid, NotFound
from tams.domain.filters import TagFilter
from tams.domain.limits import MOST_URLS, check_count
from tams.domain.objects import Instance, Object
from tams.domain.principals import Principal
from tams.repository.port import Cursor, Read, Write
from tams.services.access.authorization import lacking, require_object, unknown_object
from tams.services.access.visibility import VisibleRead
from tams.services.objects.byte_deletion import forget_bytes
from tams.services.objects.copies import queue_copy
from tams.services.store import Store
from tams.storage.port import MissingObject

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """An Object, its init Object, and a page of the ids of the Flows that refer to it."""

    object: Object
    init_object: Object | None
    referenced_by_flows: list[str]
    next: Cursor | None


def get(
    store: Store, object_id: str, flow_tags: TagFilter, after: Cursor | None, limit: int, principal: Principal
) -> ObjectDetails:
    """The Object and a page of the Flows, with tags that `flow_tags` matches, that refer to it; an init Object through
    the media that need it. `NotFound`, also while it is allocated and not registered; `Forbidden`.
    """
    with store.visible_to(principal) as sight:
        item = _registered(sight, object_id)
        references = sight.references(object_id, flow_tags=flow_tags, after=after, limit=limit)
        init_id = item.init_object_id
        init_object = None if init_id is None else sight.objects([init_id]).get(init_id)
    return ObjectDetails(item, init_object, references.items, references.next)


def check_readable(store: Store, object_id: str, principal: Principal) -> None:
    """`NotFound` unless there is such an Object, registered; `Forbidden` where it may not be read."""
    with store.visible_to(principal) as sight:
        _registered(sight, object_id)


def check_deletable(store: Store, object_id: str, principal: Principal) -> None:
    """`NotFound` unless there is such an Object, be it registered or only allocated; `Forbidden` where it may not be
    deleted."""
    with store.repository.read() as read:
        deletable(read, object_id, store.access(principal))


def deletable(read: Read, object_id: str, access: Access) -> Object:
    """The Object, inside a transaction. `NotFound`; `Forbidden` where it may not be deleted."""
    item = read.objects([object_id]).get(object_id)
    if item is None:
        raise unknown_object()
    require_object(read, access, "delete", item)
    return item


def check_writable(store: Store, object_id: str, principal: Principal) -> None:
    """`NotFound` unless there is such an Object, registered; `Forbidden` where it may not be changed: what is checked
    before a request's body is looked at."""
    with store.repository.read() as read:
        _writable(read, object_id, store.access(principal))


def add_controlled_instance(store: Store, object_id: str, storage_id: str, principal: Principal) -> None:
    """Have the Object copied to the Storage Backend; where it has an instance there, ready or under way, that is all.

    The instance is shown when its bytes are there (specification, `POST /objects/{objectId}/instances`). `NotFound`;
    `Forbidden`, also where the bytes are only in Storage Backends that the principal may not read from; `Invalid` for
    an unknown Storage Backend.
    """
    access = store.access(principal)
    key = store.writable_storage(storage_id, access).new_key(object_id)
    readable = store.shown_backends(access)

    def transact(tx: Write) -> bool:
        tx.claim(("object", object_id))
        item = _writable(tx, object_id, access)
        if access.is_limited and not any(
            instance.ready and (not instance.controlled or instance.storage_id in readable)
            for instance in item.instances
        ):
            raise lacking("read", "the Storage Backends that have the bytes of this Object")
        if any(instance.storage_id == storage_id for instance in item.instances):
            return False
        queue_copy(tx, item, storage_id, key, store.now())
        return True

    if store.write(transact):
        logger.info("object %s is to be copied to Storage Backend %s", object_id, storage_id)


def add_uncontrolled_instance(store: Store, object_id: str, url: str, label: str, principal: Principal) -> None:
    """Add a URL outside the Storage Backends; one that is there already, under the same label, is not added twice.

    `NotFound`, `Forbidden`; `Invalid` where the label is another instance's or a Storage Backend's.
    """
    access = store.access(principal)

    def transact(tx: Write) -> None:
        tx.claim(("object", object_id))
        item = _writable(tx, object_id, access)
        if any(storage.backend.label == label for storage in store.storages.values()):
            raise Invalid.field("label", "it is the label of a Storage Backend")
        for instance in item.instances:
            if instance.label == label:
                if instance.url != url:
                    raise Invalid.field("label", "another instance of this Object has it")
                return
        check_count("instances", sum(instance.url is not None for instance in item.instances) + 1, MOST_URLS)
        tx.put_objects([item._replace(instances=(*item.instances, Instance(url=url, label=label)))])

    store.write(transact)


def delete_instance(
    store: Store, object_id: str, principal: Principal, *, storage_id: str | None, label: str | None
) -> None:
    """Remove the instance in the Storage Backend, or the one that `get_urls` shows under the label; bytes under the
    store's control follow.

    `NotFound`, also for an instance that is not there or not to be known of; `Forbidden`; `Invalid` for the last
    instance of the Object.
    """
    access = store.access(principal)
    labels = {
        storage.backend.id: storage.backend.label
        for storage in store.storages.values()
        if access.knows_backend(storage.backend.tags)
    }
    hidden = store.storages.keys() - labels.keys()

    def chosen(instance: Instance) -> bool:
        if instance.storage_id in hidden:
            return False
        if storage_id is not None:
            return instance.storage_id == storage_id
        return label == (labels.get(instance.storage_id) if instance.storage_id is not None else instance.label)

    def transact(tx: Write) -> None:
        tx.claim(("object", object_id))
        item = _writable(tx, object_id, access)
        gone = [instance for instance in item.instances if chosen(instance)]
        left = [instance for instance in item.instances if not chosen(instance)]
        if not gone:
            raise NotFound("the Object has no such instance")
        for instance in gone:
            if instance.storage_id in labels:
                store.writable_storage(instance.storage_id, access)
        if not any(instance.ready for instance in left):
            raise Invalid(
                "This is the Object's last instance: delete the Segments that use the Object to be rid of it.",
                {"label" if storage_id is None else "storage_id": ["the last instance of the Object"]},
            )
        tx.put_objects([item._replace(instances=tuple(left))])
        forget_bytes(tx, gone, store.now())

    store.write(transact)
    logger.info("Deleted the instance %s of object %s", storage_id or label, object_id)


def check_download(store: Store, storage_id: str, key: str, principal: Principal) -> None:
    """Raise unless the principal may read the bytes under the key: `MissingObject` where no Object that it may know of
    has them, `Forbidden` where it may not read that, or from the Storage Backend."""
    access = store.access(principal)
    if not access.is_limited:
        return
    backend = store.storages[storage_id].backend
    with store.repository.read() as read:
        object_id = read.object_at(storage_id, key)
        item = None if object_id is None else read.objects([object_id]).get(object_id)
        if item is None or not access.knows_backend(backend.tags):
            raise _no_bytes(key)
        try:
            require_object(read, access, "read", item)
        except NotFound as error:
            raise _no_bytes(key) from error
    if not access.may_use("read", backend.tags):
        raise lacking("read", "this Storage Backend")


def may_upload(store: Store, object_id: str, storage_id: str, key: str, principal: Principal) -> None:
    """Raise unless bytes may be put under the key now, by a principal who may write to the store.

    `NotFound` where the key was not given out for that Object, or for one that the principal may not know of;
    `Forbidden` where it may not write to the Flow that the storage was given to or to the Storage Backend, where the
    Object is registered, for its bytes never change then, or where the time given for it has passed.
    """
    access = store.access(principal)
    with store.repository.read() as read:
        item = read.objects([object_id]).get(object_id)
        for instance in item.instances if item is not None else ():
            if item is not None and instance.storage_id == storage_id and instance.storage_key == key:
                backend = store.storages[storage_id].backend
                if not access.knows_backend(backend.tags):
                    break
                try:
                    require_object(read, access, "write", item)
                except NotFound:
                    break
                if not access.may_use("write", backend.tags):
                    raise lacking("write", "this Storage Backend")
                if item.kind is not None:
                    raise Forbidden("the Object is registered: its bytes do not change any more")
                if store.now() >= instance.put_until:
                    raise Forbidden("the time for this upload has passed: ask for new storage")
                return
    raise NotFound("no Object has its bytes at this address")


def _writable(read: Read, object_id: str, access: Access) -> Object:
    item = _registered(read, object_id)
    require_object(read, access, "write", item)
    return item


def _registered(read: VisibleRead, object_id: str) -> Object:
    item = read.objects([object_id]).get(object_id)
    if item is None or item.kind is None:
        raise unknown_object()
    return item


def _no_bytes(key: str) -> MissingObject:
    """As a Storage Backend says it."""
    return MissingObject(f"there are no bytes under {key}")
