"""Allocating storage for new Objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tams.domain.clock import MICROSECONDS
from tams.domain.content_types import sendable_type
from tams.domain.errors import Contended, Invalid
from tams.domain.identifiers import new_object_id
from tams.domain.limits import MOST_OBJECT_IDS, check_count
from tams.domain.objects import Instance, Object
from tams.domain.principals import Principal
from tams.repository.port import Write
from tams.services.segments.registration import writable_with_container
from tams.services.store import Store
from tams.services.unit_of_work import claim

DEFAULT_OBJECTS = 10
"""Number of Objects allocated if the client gives neither `limit` nor `object_ids`."""

MOST_OBJECTS = 1000
"""Largest number of Objects in one request; a larger `limit` is reduced to it."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Storage for one Object: the URL to PUT its bytes to, and their content type.

    A `presigned` URL needs no credentials.
    """

    object_id: str
    put_url: str
    content_type: str
    presigned: bool


def allocate(
    store: Store,
    flow_id: str,
    principal: Principal,
    *,
    limit: int | None = None,
    object_ids: Sequence[str] | None = None,
    storage_id: str | None = None,
    content_type: str | None = None,
    presigned: bool = True,
) -> list[Allocation]:
    """Allocate `limit` new Objects, or those with `object_ids`, all or none; the Flow registers them first.

    `content_type` defaults to the Flow's `container` (specification, `POST /flows/{flowId}/storage`).

    Raises:
        NotFound: the Flow does not exist, or the principal may not know of it.
        Forbidden: the principal may not write to the Flow or to the Storage Backend, or the Flow is read-only.
        Invalid: the Flow has no container, the `storage_id` is unknown, or an id is repeated or exists.
    """
    ids = _ids(limit, object_ids)
    access = store.access(principal)
    storage = store.writable_storage(storage_id, access)
    now = store.now()
    flow = store.repository.ask(lambda read: writable_with_container(read, flow_id, access))
    container = flow.metadata["container"]
    # Flows of earlier versions may have a container that no header can carry.
    content_type = content_type or sendable_type(container)
    objects: list[Object] = []
    allocations: list[Allocation] = []
    # URLs are signed before the transaction, to keep it short.
    for object_id in ids:
        storage_key = storage.new_key(object_id, content_type)
        if presigned:
            url, put_until = storage.put_url(storage_key, content_type, now)
        else:
            url = storage.plain_put_url(storage_key, object_id)
            put_until = now + store.settings.min_object_timeout * MICROSECONDS
        instance = Instance(storage.backend.id, storage_key, put_until)
        objects.append(Object(object_id, now, (instance,), flow.flow_key, content_type))
        allocations.append(Allocation(object_id, url, content_type, presigned))

    def transact(tx: Write) -> None:
        claim(tx, [("flow", flow_id), *(("object", object_id) for object_id in ids)])
        current = writable_with_container(tx, flow_id, access)
        if current.flow_key != flow.flow_key or current.metadata["container"] != container:
            raise Contended(f"Flow {flow_id} was replaced during this request; try again")
        in_use = tx.objects(ids)
        if in_use:
            raise Invalid(
                f"object_ids: {len(in_use)} of the ids already exist; choose other ids",
                {
                    f"object_ids[{index}]": ["an Object with this id already exists"]
                    for index, object_id in enumerate(ids)
                    if object_id in in_use
                },
            )
        tx.put_objects(objects)

    if objects:
        store.write(transact)
    return allocations


def _ids(limit: int | None, object_ids: Sequence[str] | None) -> Sequence[str]:
    if object_ids is None:
        if limit is not None and limit < 1:
            raise Invalid.field("limit", "must be a whole number of at least 1")
        return [new_object_id() for _ in range(min(limit or DEFAULT_OBJECTS, MOST_OBJECTS))]
    if limit is not None:
        raise Invalid("give limit or object_ids, not both", {"limit": ["not together with object_ids"]})
    check_count("object_ids", len(object_ids), MOST_OBJECT_IDS)
    seen: set[str] = set()
    repeated: dict[str, list[str]] = {}
    for index, object_id in enumerate(object_ids):
        if object_id in seen:
            repeated[f"object_ids[{index}]"] = ["repeated"]
        seen.add(object_id)
    if repeated:
        raise Invalid("object_ids: an id is repeated", repeated)
    return object_ids
