"""Registering Segments: one, a list, or one with its bytes in the same request."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from tams.domain.access import Access
from tams.domain.clock import MICROSECONDS
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
from tams.storage.port import BackendDown, Storage

logger = logging.getLogger(__name__)

_LOOKS_AT_ONCE = 16
_LONGEST_UPLOAD = 24 * 3600 * MICROSECONDS


def register(
    store: Store, flow_id: str, requests: Sequence[SegmentRequest], principal: Principal
) -> list[FailedSegment]:
    """Register the Segments in one transaction, and return those that were refused; these change nothing.

    In order, going on after a refusal; earlier ones count for later ones (specification, `POST
    /flows/{flowId}/segments`). `NotFound`, `Forbidden` (read-only, or without write) and `Invalid` (no container)
    refuse all of them.
    """
    access = store.access(principal)
    ids = _object_ids(requests)
    missing = _never_uploaded(store, flow_id, ids, access) if store.settings.verify_uploads else frozenset()

    def transact(tx: Write) -> list[FailedSegment]:
        tx.claim(*_keys(flow_id, ids))
        flow = writable_with_container(tx, flow_id, access)
        objects = tx.objects(ids)
        hidden = hidden_objects(tx, access, flow, objects.values())
        registered = _judge(store, tx, flow, requests, objects, missing, hidden)
        _keep(tx, flow, registered)
        return registered.failed

    failed = store.write(transact)
    if failed:
        logger.info("Refused %s of %s segments of flow %s", len(failed), len(requests), flow_id)
    return failed


def upload(
    store: Store, flow_id: str, request: SegmentRequest, stream: BinaryIO, principal: Principal
) -> tuple[Segment, dict[str, tuple[Instance, ...]]]:
    """Store the bytes that `stream` gives until its end in the default Storage Backend, and register them.

    Returns the Segment and the instances of the Objects that it refers to (the init Object too).
    `request.object_id` is a new id, or one that was allocated to this Flow and never registered. Raises what `register`
    does, `Invalid` where the Segment is refused, what `stream` raises, and what the Storage Backend does; then neither
    record nor bytes are left. No transaction is open while the bytes come.
    """
    access = store.access(principal)
    storage = store.writable_storage(None, access)
    key = storage.new_key(request.object_id)
    latest = store.now() + _LONGEST_UPLOAD
    ids = _object_ids([request])

    def judge(tx: Write) -> tuple[Flow, Registered, Object | None]:
        tx.claim(*_keys(flow_id, ids))
        flow = writable_with_container(tx, flow_id, access)
        objects = tx.objects(ids)
        hidden = hidden_objects(tx, access, flow, objects.values()) - {request.object_id}
        allocated = objects.get(request.object_id)
        instance = Instance(storage.backend.id, key)
        filled = _filled(request.object_id, flow, allocated, instance, store.now())
        registered = _judge(store, tx, flow, [request], {**objects, filled.id: filled}, frozenset(), hidden)
        if registered.failed:
            raise registered.failed[0].error
        return flow, registered, allocated

    def begin(tx: Write) -> str:
        """Refuse before the bytes come; and see to it that they go, even if this process is killed before their end."""
        flow, _, _ = judge(tx)
        tx.enqueue([_deletion(storage, key, latest)])
        return str(flow.metadata["container"])

    def end(tx: Write) -> tuple[Segment, dict[str, tuple[Instance, ...]]]:
        flow, registered, allocated = judge(tx)
        now = store.now()
        if now >= latest:
            raise Unavailable("nothing was stored: the upload took longer than a day")
        _keep(tx, flow, registered)
        tx.finish(DELETE_BYTES, key)
        if allocated is not None:
            forget_bytes(tx, allocated.instances, now)
        return registered.segments[0], tx.instances(ids)

    content_type = store.write(begin)
    try:
        storage.put(key, stream, content_type)
        return store.write(end)
    except BaseException as error:
        logger.info("The upload of object %s to flow %s failed", request.object_id, flow_id)
        now = store.now()
        # A backend that did not answer in time may still be about to store the bytes.
        until = latest if isinstance(error, BackendDown) else 0
        # Where even this fails, the bytes go at `latest`: the first failure is the one to tell.
        with contextlib.suppress(Unavailable):
            store.write(lambda tx: tx.enqueue([_deletion(storage, key, now, until)]))
        raise


def writable_with_container(tx: Read, flow_id: str, access: Access) -> Flow:
    """The Flow as Objects and Segments need it. `NotFound`; `Forbidden` (read-only, or without write); `Invalid`
    without `container`."""
    flow = flows.writable(tx, flow_id, access)
    if not flow.metadata.get("container"):
        raise Invalid.field("container", f"Flow {flow_id} has none: set it before storage or Segments are asked for")
    return flow


def _object_ids(requests: Sequence[SegmentRequest]) -> set[str]:
    """The Objects that the requests name, media and init."""
    ids = {request.object_id for request in requests}
    ids.update(request.init_object_id for request in requests if request.init_object_id is not None)
    return ids


def _keys(flow_id: str, object_ids: Collection[str]) -> list[Key]:
    return [("flow", flow_id), *(("object", object_id) for object_id in object_ids)]


def _judge(
    store: Store,
    tx: Read,
    flow: Flow,
    requests: Sequence[SegmentRequest],
    objects: Mapping[str, Object],
    missing: Collection[str],
    hidden: Collection[str],
) -> Registered:
    registration = Registration(
        flow,
        objects,
        backend_labels={storage.backend.label for storage in store.storages.values()},
        missing=missing,
        hidden=hidden,
        # Every operation that adds or removes Segments of a Flow has a time of its own, whatever the clocks do.
        at=flow.next_change(store.now()),
    )
    return registration.judge(requests, tx.overlaps(flow.flow_key, [request.timerange for request in requests]))


def _keep(tx: Write, flow: Flow, registered: Registered) -> None:
    if registered.objects:
        tx.put_objects(registered.objects)
    if registered.segments:
        tx.add_segments(flow.flow_key, registered.segments)
        Outbox(tx).segments_added(flow, registered.segments)


def _never_uploaded(store: Store, flow_id: str, object_ids: Collection[str], access: Access) -> frozenset[str]:
    """Those of the unregistered Objects of which no Storage Backend has the bytes. Refuses what `register` refuses
    whatever is registered, because asking for the bytes takes time, and passes over Objects that are hidden."""
    with store.repository.read() as read:
        flow = writable_with_container(read, flow_id, access)
        items = read.objects(object_ids).values()
        hidden = hidden_objects(read, access, flow, items)
    unregistered = [item for item in items if item.kind is None and item.id not in hidden]
    if not unregistered:
        return frozenset()

    def has_bytes(item: Object) -> bool:
        return any(
            instance.storage_key is not None
            and store.storage(instance.storage_id).head(instance.storage_key) is not None
            for instance in item.instances
        )

    with ThreadPoolExecutor(min(_LOOKS_AT_ONCE, len(unregistered))) as executor:
        found = executor.map(has_bytes, unregistered)
        return frozenset(item.id for item, has in zip(unregistered, found, strict=True) if not has)


def _filled(object_id: str, flow: Flow, allocated: Object | None, instance: Instance, now: int) -> Object:
    """The Object as if it had been allocated to the Flow with that one instance."""
    if allocated is None:
        return Object(object_id, now, (instance,), flow.flow_key, flow.metadata["container"])
    if allocated.kind is not None or allocated.allocated_to != flow.flow_key:
        raise Invalid.field("object_id", "this Object is in use: bytes are taken for a new one, or one of this Flow's")
    return Object(object_id, allocated.created, (instance,), flow.flow_key, allocated.content_type)


def _deletion(storage: Storage, key: str, due: int, until: int = 0) -> Job:
    """The bytes under the key go at `due`, and once more after `until` (microseconds), unless the job is finished."""
    return Job(DELETE_BYTES, key, {"storage_id": storage.backend.id, "put_until": until}, due)
