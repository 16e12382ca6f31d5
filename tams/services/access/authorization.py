"""Permission checks that need the store: the rules about classes.

An item that a principal has no permission on does not exist for the principal: it raises `NotFound`, with the same
message as an item that does not exist. If only the required permission is missing, it raises `Forbidden`. Unrestricted
access costs no query.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tams.domain.access import Access, Permission, document_classes
from tams.domain.errors import Forbidden, NotFound
from tams.domain.flows import Flow
from tams.domain.objects import Object
from tams.repository.port import Read, pages

_PAGE = 1000
_OBJECT = "this Object"


def missing_permission(permission: Permission, what: str) -> Forbidden:
    """Return the error for a missing permission on an item that the principal may know of."""
    return Forbidden(f"none of your groups may {permission} {what}")


def require(
    access: Access, permission: Permission, classes: Collection[str], what: str, absent: NotFound | None = None
) -> None:
    """Require a permission on an item with these classes; `what` names the item in messages.

    Raises:
        NotFound: There is no permission on the item; it is `absent` if that is given.
        Forbidden: There is another permission on the item.
    """
    if access.may(permission, classes):
        return
    if not access.knows(classes):
        raise absent or NotFound(f"there is no {what}")
    raise missing_permission(permission, what)


def readable_flows(read: Read, access: Access, flow_ids: Collection[str]) -> set[str]:
    """Return the ids of the Flows that exist and may be read."""
    flows = read.flows_by_id(flow_ids) if flow_ids else {}
    return {flow_id for flow_id, flow in flows.items() if access.may("read", document_classes(flow.metadata))}


def readable_sources(read: Read, access: Access, source_ids: Collection[str]) -> set[str]:
    """Return the ids of the Sources that exist and may be read."""
    sources = read.sources_by_id(source_ids) if source_ids else {}
    return {source_id for source_id, source in sources.items() if access.may("read", document_classes(source.metadata))}


def require_object(read: Read, access: Access, permission: Permission, item: Object) -> None:
    """Require a permission on an Object.

    To read it takes read on one Flow that refers to it. To write it takes write on the Flow that referred to it first,
    or, once that Flow is deleted, on every Flow that refers to it. To delete it takes delete on every Flow that refers
    to it. Until it is registered, the Flow that it was allocated to decides.

    Raises:
        NotFound: There is no permission on the Object.
        Forbidden: There is another permission on the Object.
    """
    if not access.is_limited:
        return
    if item.kind is None:
        owner = None if item.allocated_to is None else read.flow_of_key(item.allocated_to)
        classes = () if owner is None else document_classes(owner.metadata)
        require(access, permission, classes, _OBJECT, unknown_object())
        return
    first = _first_flow(read, item) if permission == "write" else None
    first_classes = () if first is None else document_classes(first.metadata)
    if permission == "read":
        allowed = bool(read.referred_to([item.id], access.readable()))
    elif first is not None:
        allowed = access.may("write", first_classes)
    else:
        allowed = _may_all(read, access, permission, item.id)
    if allowed:
        return
    if access.knows(first_classes) or read.referred_to([item.id], access.known()):
        raise missing_permission(permission, _OBJECT)
    raise unknown_object()


def unknown_object() -> NotFound:
    """Return the error for an Object that does not exist, or that the principal may not know of."""
    return NotFound("there is no Object with this id")


def visible_object(read: Read, access: Access, item: Object) -> Object:
    """Return the Object, without the Flow that referred to it first if that is deleted or may not be read."""
    first = _first_flow(read, item)
    if first is not None and access.may("read", document_classes(first.metadata)):
        return item
    return item._replace(first_flow_id=None)


def hidden_objects(read: Read, access: Access, flow: Flow, objects: Collection[Object]) -> set[str]:
    """Return the ids of the stored Objects that may not be used in the Flow, because they may not be read.

    Objects that were allocated to the Flow itself may be used.
    """
    if not access.is_limited:
        return set()
    registered = {item.id for item in objects if item.kind is not None}
    hidden = registered - read.referred_to(registered, access.readable()) if registered else set()
    is_readable: dict[int, bool] = {flow.flow_key: True}
    for item in objects:
        if item.kind is None:
            flow_key = item.allocated_to or 0
            if flow_key not in is_readable:
                owner = read.flow_of_key(flow_key)
                is_readable[flow_key] = owner is not None and access.may("read", document_classes(owner.metadata))
            if not is_readable[flow_key]:
                hidden.add(item.id)
    return hidden


def _first_flow(read: Read, item: Object) -> Flow | None:
    """Return the Flow that referred to the registered Object first, or None if it is deleted.

    A new Flow under the same id is younger than the Object, and is not that Flow.
    """
    flow = None if item.first_flow_id is None else read.flow(item.first_flow_id)
    return flow if flow is not None and flow.created < (item.registered or 0) else None


def _may_all(read: Read, access: Access, permission: Permission, object_id: str) -> bool:
    """Return True if at least one Flow refers to the Object, and every one that does gives the permission."""
    any_flow = False
    for flow in _referring_flows(read, object_id):
        any_flow = True
        if not access.may(permission, document_classes(flow.metadata)):
            return False
    return any_flow


def _referring_flows(read: Read, object_id: str) -> Iterator[Flow]:
    for flow_ids in pages(lambda after: read.references(object_id, after=after, limit=_PAGE)):
        yield from read.flows_by_id(flow_ids).values()
