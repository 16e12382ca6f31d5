"""Objects, and the instances of their bytes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tams.domain.access import Access
from tams.domain.errors import Forbidden, Invalid, NotFound
from tams.domain.filters import TagFilter
from tams.domain.get_urls import LABEL_TAKEN
from tams.domain.limits import MOST_URLS, check_count
from tams.domain.objects import Instance, Object
from tams.domain.principals import Principal
from tams.repository.port import Cursor, Read, Write
from tams.services.access.authorization import missing_permission, require_object, unknown_object
from tams.services.access.visibility import VisibleRead
from tams.services.objects.byte_deletion import forget_bytes
from tams.services.objects.copies import queue_copy
from tams.services.store import Store
from tams.services.unit_of_work import claim
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
    store: Store, object_id: str, *, flow_tags: TagFilter, after: Cursor | None, limit: int, principal: Principal
) -> ObjectDetails:
    """Return the Object and a page of the Flows that refer to it and whose tags match `flow_tags`.

    Flows refer to an init Object through the media Objects that need it.

    Raises:
        NotFound: the Object does not exist or is not registered, or the principal may not know of it.
        Forbidden: the principal may not read it.
    """
    with store.visible_to(principal) as read:
        item = _registered(read, object_id)
        references = read.references(object_id, flow_tags=flow_tags, after=after, limit=limit)
        init_id = item.init_object_id
        init_object = None if init_id is None else read.objects([init_id]).get(init_id)
    return ObjectDetails(item, init_object, references.items, references.next)


def check_readable(store: Store, object_id: str, principal: Principal) -> None:
    """Raise `NotFound` unless the Object exists and is registered, `Forbidden` if it may not be read."""
    with store.visible_to(principal) as read:
        _registered(read, object_id)


def check_deletable(store: Store, object_id: str, principal: Principal) -> None:
    """Raise `NotFound` unless the Object exists, registered or only allocated, `Forbidden` if it may not be deleted."""
    with store.repository.read() as read:
        deletable(read, object_id, store.access(principal))


def deletable(read: Read, object_id: str, access: Access) -> Object:
    """Read the Object and return it. Raise `NotFound`, or `Forbidden` if it may not be deleted."""
    item = read.objects([object_id]).get(object_id)
    if item is None:
        raise unknown_object()
    require_object(read, access, "delete", item)
    return item


def check_writable(store: Store, object_id: str, principal: Principal) -> None:
    """Raise `NotFound` unless the Object exists and is registered, `Forbidden` if it may not be changed.

    This check is made before a request's body is read.
    """
    with store.repository.read() as read:
        _writable(read, object_id, store.access(principal))


def add_controlled_instance(store: Store, object_id: str, storage_id: str, principal: Principal) -> None:
    """Queue the copy of the Object to the Storage Backend, unless it has an instance there, ready or not.

    The instance is shown once its bytes are stored (specification, `POST /objects/{objectId}/instances`).

    Raises:
        NotFound: the Object does not exist or is not registered, or the principal may not know of it.
        Forbidden: the principal may not change the Object, may not write to the Storage Backend, or may not read from
            any Storage Backend that has the bytes.
        Invalid: the Storage Backend is unknown.
    """
    access = store.access(principal)
    storage = store.writable_storage(storage_id, access)
    readable = store.shown_backends(access)

    def transact(tx: Write) -> bool:
        claim(tx, [("object", object_id)])
        item = _writable(tx, object_id, access)
        if access.is_limited and not any(
            instance.ready and (not instance.controlled or instance.storage_id in readable)
            for instance in item.instances
        ):
            raise missing_permission("read", "the Storage Backends that have the bytes of this Object")
        if any(instance.storage_id == storage_id for instance in item.instances):
            return False
        queue_copy(tx, item, storage_id, storage.new_key(object_id, item.content_type), store.now())
        return True

    if store.write(transact):
        logger.info("Queued the copy of object %s to Storage Backend %s", object_id, storage_id)


def add_uncontrolled_instance(store: Store, object_id: str, url: str, label: str, principal: Principal) -> None:
    """Add an instance at a URL outside the Storage Backends, unless it has the same URL and label as a stored one.

    Raises:
        NotFound: the Object does not exist or is not registered, or the principal may not know of it.
        Forbidden: the principal may not change the Object.
        Invalid: another instance or a Storage Backend has the label, or the Object has too many instances.
    """
    access = store.access(principal)

    def transact(tx: Write) -> None:
        claim(tx, [("object", object_id)])
        item = _writable(tx, object_id, access)
        if any(storage.backend.label == label for storage in store.storages.values()):
            raise Invalid.field("label", LABEL_TAKEN)
        for instance in item.instances:
            if instance.label == label:
                if instance.url != url:
                    raise Invalid.field("label", LABEL_TAKEN)
                return
        check_count("instances", sum(instance.url is not None for instance in item.instances) + 1, MOST_URLS)
        tx.put_objects([item._replace(instances=(*item.instances, Instance(url=url, label=label)))])

    store.write(transact)


def delete_instance(
    store: Store, object_id: str, principal: Principal, *, storage_id: str | None, label: str | None
) -> None:
    """Remove the instance in the Storage Backend, or the instance that `get_urls` shows with the label.

    The deletion of its bytes is queued if they are in a Storage Backend.

    Raises:
        NotFound: the Object or the instance does not exist, or the principal may not know of it.
        Forbidden: the principal may not change the Object or write to the Storage Backend.
        Invalid: it is the Object's last instance.
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
        claim(tx, [("object", object_id)])
        item = _writable(tx, object_id, access)
        removed = [instance for instance in item.instances if chosen(instance)]
        left = [instance for instance in item.instances if not chosen(instance)]
        if not removed:
            raise NotFound("the Object has no such instance")
        for instance in removed:
            if instance.storage_id in labels:
                store.writable_storage(instance.storage_id, access)
        if not any(instance.ready for instance in left):
            raise Invalid(
                "This is the Object's last instance. To remove it, delete the Segments that use the Object.",
                {"label" if storage_id is None else "storage_id": ["the last instance of the Object"]},
            )
        tx.put_objects([item._replace(instances=tuple(left))])
        forget_bytes(tx, removed, store.now())

    store.write(transact)
    logger.info("Deleted the instance %s of object %s", storage_id or label, object_id)


def check_download(store: Store, storage_id: str, storage_key: str, principal: Principal) -> None:
    """Raise an error unless the principal may read the bytes under the storage key.

    Raises:
        MissingObject: the bytes belong to no Object that the principal may know of.
        Forbidden: the principal may not read the Object, or not from the Storage Backend.
    """
    access = store.access(principal)
    if not access.is_limited:
        return
    backend = store.storages[storage_id].backend
    with store.repository.read() as read:
        object_id = read.object_at(storage_id, storage_key)
        item = None if object_id is None else read.objects([object_id]).get(object_id)
        if item is None or not access.knows_backend(backend.tags):
            raise _no_bytes(storage_key)
        try:
            require_object(read, access, "read", item)
        except NotFound as error:
            raise _no_bytes(storage_key) from error
    if not access.may_use("read", backend.tags):
        raise missing_permission("read", "this Storage Backend")


def may_upload(store: Store, object_id: str, storage_id: str, storage_key: str, principal: Principal) -> None:
    """Raise an error unless the principal, who has the write scope, may put bytes under the storage key now.

    Raises:
        NotFound: the key was not allocated for this Object, or the principal may not know of the Object.
        Forbidden: the principal may not write to the Flow that the storage was allocated to or to the Storage Backend,
            the Object is registered, so that its bytes are immutable, or the time for the upload has passed.
    """
    access = store.access(principal)
    with store.repository.read() as read:
        item = read.objects([object_id]).get(object_id)
        for instance in item.instances if item is not None else ():
            if item is not None and instance.storage_id == storage_id and instance.storage_key == storage_key:
                backend = store.storages[storage_id].backend
                if not access.knows_backend(backend.tags):
                    break
                try:
                    require_object(read, access, "write", item)
                except NotFound:
                    break
                if not access.may_use("write", backend.tags):
                    raise missing_permission("write", "this Storage Backend")
                if item.kind is not None:
                    raise Forbidden("the Object is registered, so its bytes are immutable; upload to a new Object")
                if store.now() >= instance.put_until:
                    raise Forbidden("the time for this upload has passed; request new storage")
                return
    raise NotFound("no storage was allocated at this URL")


def _writable(read: Read, object_id: str, access: Access) -> Object:
    item = _registered(read, object_id)
    require_object(read, access, "write", item)
    return item


def _registered(read: VisibleRead, object_id: str) -> Object:
    item = read.objects([object_id]).get(object_id)
    if item is None or item.kind is None:
        raise unknown_object()
    return item


def _no_bytes(storage_key: str) -> MissingObject:
    """Return the error that a Storage Backend raises for a key without bytes."""
    return MissingObject(f"there are no bytes under {storage_key}")
