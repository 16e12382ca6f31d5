"""Registering Segments: one, a list, or one with its bytes in the same request."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import BinaryIO

from tams.domain.access import Access
from tams.domain.clock import MICROSECONDS
from tams.domain.content_types import sendable_type
from tams.domain.errors import Invalid, Unavailable
from tams.domain.flows import Flow
from tams.domain.objects import Instance, Object
from tams.domain.principals import Principal
from tams.domain.registration import FailedSegment, Registered, Registration
from tams.domain.segment_requests import SegmentRequest
from tams.domain.segments import Segment
from tams.repository.port import Job, Key, Read, Write
from tams.services.access.authorization import hidden_objects
from tams.services.flows import flows
from tams.services.objects.byte_deletion import DELETE_BYTES, forget_bytes
from tams.services.outbox import Outbox
from tams.services.store import Store
from tams.services.unit_of_work import claim
from tams.storage.port import BackendDown, Storage

logger = logging.getLogger(__name__)

_MAX_UPLOAD_DURATION = 24 * 3600 * MICROSECONDS


def register(
    store: Store, flow_id: str, segment_requests: Sequence[SegmentRequest], principal: Principal
) -> list[FailedSegment]:
    """Register the Segments in one transaction, and return the refused ones. A refused Segment changes nothing.

    They are judged in their order, each with regard to those accepted before it, and a refusal does not end the list
    (specification, `POST /flows/{flowId}/segments`).

    Raises:
        NotFound: the Flow does not exist, or the principal may not know of it.
        Forbidden: the principal may not write to the Flow, or it is read-only.
        Invalid: the Flow has no container.
    """
    access = store.access(principal)
    ids = _object_ids(segment_requests)
    verify = store.settings.verify_uploads
    absent = _absent_anywhere(store, flow_id, ids, access) if verify is True else frozenset()

    def transact(tx: Write) -> list[FailedSegment]:
        claim(tx, _keys(flow_id, ids))
        flow = writable_with_container(tx, flow_id, access)
        objects = tx.objects(ids)
        hidden = hidden_objects(tx, access, flow, objects.values())
        missing = _absent_at_hand(store, objects.values()) if verify == "auto" else absent
        registered = _judge(store, tx, flow, segment_requests, objects, missing=missing, hidden=hidden)
        _store(tx, flow, registered)
        return registered.failed

    failed = store.write(transact)
    if failed:
        logger.info("Refused %s of %s segments of flow %s", len(failed), len(segment_requests), flow_id)
    return failed


def upload(
    store: Store,
    flow_id: str,
    segment_request: SegmentRequest,
    stream: BinaryIO,
    principal: Principal,
    *,
    checksums: Mapping[str, bytes] | None = None,
) -> tuple[Segment, dict[str, tuple[Instance, ...]]]:
    """Store the bytes of `stream` in the default Storage Backend, and register them.

    `segment_request.object_id` is a new id, or one that was allocated to this Flow and never registered. Returns the
    Segment and the instances of the Objects that it refers to, the init Object included. `checksums` are those that the
    bytes have to have. No transaction is open while the bytes are received.

    Raises the errors of `register`, of `stream` and of the Storage Backend, and `Invalid` if the Segment is refused.
    Neither a record nor bytes are left after an error.
    """
    access = store.access(principal)
    storage = store.writable_storage(None, access)
    object_id = segment_request.object_id
    latest = store.now() + _MAX_UPLOAD_DURATION
    ids = _object_ids([segment_request])
    verify = store.settings.verify_uploads
    init_ids = ids - {object_id}
    absent = _absent_anywhere(store, flow_id, init_ids, access) if verify is True and init_ids else frozenset()

    def judge(tx: Write, storage_key: str | None = None) -> tuple[str, Flow, Registered, Object | None]:
        """Judge the Segment as if its bytes were under the storage key, by default a new one."""
        claim(tx, _keys(flow_id, ids))
        flow = writable_with_container(tx, flow_id, access)
        objects = tx.objects(ids)
        hidden = hidden_objects(tx, access, flow, objects.values()) - {object_id}
        allocated = objects.get(object_id)
        storage_key = storage_key or storage.new_key(object_id, flow.metadata["container"])
        instance = Instance(storage.backend.id, storage_key)
        uploaded = _uploaded(object_id, flow, allocated, instance, store.now())
        inits = [item for item in objects.values() if item.id != object_id]
        missing = _absent_at_hand(store, inits) if verify == "auto" else absent
        objects = {**objects, object_id: uploaded}
        registered = _judge(store, tx, flow, [segment_request], objects, missing=missing, hidden=hidden)
        if registered.failed:
            raise registered.failed[0].error
        return storage_key, flow, registered, allocated

    def begin(tx: Write) -> tuple[str, str]:
        """Refuse the upload before it begins; queue the deletion of its bytes in case this process is killed."""
        storage_key, flow, _, _ = judge(tx)
        tx.enqueue([_deletion(storage, storage_key, latest)])
        return storage_key, sendable_type(flow.metadata["container"])

    def end(tx: Write) -> tuple[Segment, dict[str, tuple[Instance, ...]]]:
        _, flow, registered, allocated = judge(tx, storage_key)
        now = store.now()
        if now >= latest:
            raise Unavailable("nothing was stored: the upload took longer than a day")
        _store(tx, flow, registered)
        tx.finish(DELETE_BYTES, storage_key)
        if allocated is not None:
            forget_bytes(tx, allocated.instances, now)
        return registered.segments[0], tx.instances(ids)

    storage_key, content_type = store.write(begin)
    try:
        storage.put(storage_key, stream, content_type, checksums=checksums)
        return store.write(end)
    except BaseException as error:
        logger.info("The upload of object %s to flow %s failed", object_id, flow_id)
        now = store.now()
        # A backend that did not answer in time may still store the bytes.
        put_until = latest if isinstance(error, BackendDown) else 0
        # If this fails too, the bytes are deleted at `latest`; the client gets the first error.
        with contextlib.suppress(Unavailable):
            store.write(lambda tx: tx.enqueue([_deletion(storage, storage_key, now, put_until)]))
        raise


def writable_with_container(tx: Read, flow_id: str, access: Access) -> Flow:
    """Read the Flow for new Objects or Segments, and return it.

    Raises:
        NotFound, Forbidden: as `flows.writable` does.
        Invalid: the Flow has no `container`.
    """
    flow = flows.writable(tx, flow_id, access)
    if not flow.metadata.get("container"):
        raise Invalid.field(
            "container", f"Flow {flow_id} has none; set it before requesting storage or registering Segments"
        )
    return flow


def _object_ids(segment_requests: Sequence[SegmentRequest]) -> set[str]:
    """Return the ids of the media Objects and init Objects that the requests name."""
    ids = {item.object_id for item in segment_requests}
    ids.update(item.init_object_id for item in segment_requests if item.init_object_id is not None)
    return ids


def _keys(flow_id: str, object_ids: Collection[str]) -> list[Key]:
    return [("flow", flow_id), *(("object", object_id) for object_id in object_ids)]


def _judge(
    store: Store,
    tx: Read,
    flow: Flow,
    segment_requests: Sequence[SegmentRequest],
    objects: Mapping[str, Object],
    *,
    missing: Collection[str],
    hidden: Collection[str],
) -> Registered:
    registration = Registration(
        flow,
        objects,
        backend_labels={storage.backend.label for storage in store.storages.values()},
        missing=missing,
        hidden=hidden,
        # Every operation that adds or removes Segments of a Flow has its own time, even if clocks go backwards.
        at=flow.next_change(store.now()),
    )
    overlaps = tx.overlaps(flow.flow_key, [item.timerange for item in segment_requests])
    return registration.judge(segment_requests, overlaps)


def _store(tx: Write, flow: Flow, registered: Registered) -> None:
    if registered.objects:
        tx.put_objects(registered.objects)
    if registered.segments:
        tx.add_segments(flow.flow_key, registered.segments)
        Outbox(tx).segments_added(flow, registered.segments)


def _absent_anywhere(store: Store, flow_id: str, object_ids: Collection[str], access: Access) -> frozenset[str]:
    """Return those of the unregistered Objects whose bytes are in no Storage Backend; skip hidden Objects.

    Looking for bytes takes time, so this first raises the errors by which `register` refuses the whole list.
    """
    with store.repository.read() as read:
        flow = writable_with_container(read, flow_id, access)
        items = read.objects(object_ids).values()
        hidden = hidden_objects(read, access, flow, items)
    unregistered = [item for item in items if item.kind is None and item.id not in hidden]
    return _absent(store, unregistered, store.storages.keys())


def _absent_at_hand(store: Store, items: Iterable[Object]) -> frozenset[str]:
    """Return those of the unregistered Objects that have no bytes, as far as backends tell without asking a server."""
    at_hand = {storage_id for storage_id, storage in store.storages.items() if storage.looks_up_at_once}
    unregistered = [item for item in items if item.kind is None] if at_hand else []
    return _absent(store, unregistered, at_hand)


def _absent(store: Store, items: Sequence[Object], storage_ids: Collection[str]) -> frozenset[str]:
    """Return the ids of the Objects whose bytes are in none of the backends; skip Objects with other instances.

    Each backend is asked once.
    """
    absent: set[str] = set()
    elsewhere: set[str] = set()
    keys: dict[str, dict[str, str]] = {storage_id: {} for storage_id in storage_ids}
    for item in items:
        absent.add(item.id)
        for instance in item.instances:
            if instance.storage_key is not None and instance.storage_id in keys:
                keys[instance.storage_id][instance.storage_key] = item.id
            else:
                elsewhere.add(item.id)
    for storage_id, object_ids in keys.items():
        present = store.storage(storage_id).with_bytes(object_ids)
        absent.difference_update([object_ids[key] for key in present])
    return frozenset(absent - elsewhere)


def _uploaded(object_id: str, flow: Flow, allocated: Object | None, instance: Instance, now: int) -> Object:
    """Return the Object as if it had been allocated to the Flow with this one instance."""
    if allocated is None:
        return Object(object_id, now, (instance,), flow.flow_key, flow.metadata["container"])
    if allocated.kind is not None or allocated.allocated_to != flow.flow_key:
        raise Invalid.field(
            "object_id", "this Object already exists; upload to a new Object, or to one allocated to this Flow"
        )
    return Object(object_id, allocated.created, (instance,), flow.flow_key, allocated.content_type)


def _deletion(storage: Storage, storage_key: str, due: int, put_until: int = 0) -> Job:
    """Return a job that deletes the bytes at `due` and again after `put_until`, both in microseconds."""
    return Job(DELETE_BYTES, storage_key, {"storage_id": storage.backend.id, "put_until": put_until}, due)
