"""Whether somebody may do something with what is stored: the rules about classes that need the store.

`NotFound` hides what there is no permission on at all, with the words for what does not exist; `Forbidden` tells of one
that is lacking. Whoever is not limited by classes costs no question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tams.domain.access import Access, Permission, document_classes
from tams.domain.errors import Forbidden, NotFound
from tams.domain.flows import Flow
from tams.domain.objects import Object
from tams.repository.port import Read, pages

_PAGE = 1000
_WORDS = {"read": "reading", "write": "changing", "delete": "deleting"}


def lacking(permission: Permission, what: str) -> Forbidden:
    """The refusal for a lacking permission on something that is known."""
    return Forbidden(f"{_WORDS[permission]} {what} is not allowed by its classes to any of your groups")


def require(
    access: Access, permission: Permission, classes: Collection[str], what: str, absent: NotFound | None = None
) -> None:
    """`NotFound` where something of these classes is not to be known of; `Forbidden` where the permission is
    lacking."""
    if access.may(permission, classes):
        return
    if not access.knows(classes):
        raise absent or NotFound(f"there is no {what}")
    raise lacking(permission, what)


def readable_flows(read: Read, access: Access, flow_ids: Collection[str]) -> set[str]:
    """Those of the Flows that exist and may be read."""
    found = read.flows_by_id(flow_ids) if flow_ids else {}
    return {flow_id for flow_id, flow in found.items() if access.may("read", document_classes(flow.metadata))}


def readable_sources(read: Read, access: Access, source_ids: Collection[str]) -> set[str]:
    """Those of the Sources that exist and may be read."""
    found = read.sources_by_id(source_ids) if source_ids else {}
    return {source_id for source_id, source in found.items() if access.may("read", document_classes(source.metadata))}


def require_object(read: Read, access: Access, permission: Permission, item: Object) -> None:
    """`NotFound` or `Forbidden` unless the Object may be read, written or deleted.

    Reading takes read on one Flow that refers to it. Writing takes write on the Flow that was first to refer to it
    while that is there, else on every Flow that refers to it; deleting takes delete on every one. While it is allocated
    and not registered, the Flow that it was allocated to decides.
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
        raise lacking(permission, _OBJECT)
    raise unknown_object()


def unknown_object() -> NotFound:
    """The refusal for an Object that does not exist, or is not to be known of."""
    return NotFound("there is no Object with this id")


def object_as_seen(read: Read, access: Access, item: Object) -> Object:
    """The Object without the Flow that was first to refer to it, where that is gone or may not be read."""
    first = _first_flow(read, item)
    if first is not None and access.may("read", document_classes(first.metadata)):
        return item
    return item._replace(first_flow_id=None)


def hidden_objects(read: Read, access: Access, flow: Flow, objects: Collection[Object]) -> set[str]:
    """Those of the stored Objects that may not be used in the Flow, because they may not be read.

    What was allocated to the Flow itself is its own.
    """
    if not access.is_limited:
        return set()
    registered = {item.id for item in objects if item.kind is not None}
    hidden = registered - read.referred_to(registered, access.readable()) if registered else set()
    owners: dict[int, bool] = {flow.flow_key: True}
    for item in objects:
        if item.kind is None:
            key = item.allocated_to or 0
            if key not in owners:
                owner = read.flow_of_key(key)
                owners[key] = owner is not None and access.may("read", document_classes(owner.metadata))
            if not owners[key]:
                hidden.add(item.id)
    return hidden


_OBJECT = "this Object"


def _first_flow(read: Read, item: Object) -> Flow | None:
    """The Flow that was first to refer to the registered Object; None where it is gone.

    A Flow that somebody made anew under its id is younger than the Object, and has no part in it.
    """
    flow = None if item.first_flow_id is None else read.flow(item.first_flow_id)
    return flow if flow is not None and flow.created < (item.registered or 0) else None


def _may_all(read: Read, access: Access, permission: Permission, object_id: str) -> bool:
    """Whether every Flow that refers to the Object gives the permission, and there is one."""
    any_flow = False
    for flow in _users(read, object_id):
        any_flow = True
        if not access.may(permission, document_classes(flow.metadata)):
            return False
    return any_flow


def _users(read: Read, object_id: str) -> Iterator[Flow]:
    for flow_ids in pages(lambda after: read.references(object_id, after=after, limit=_PAGE)):
        yield from read.flows_by_id(flow_ids).values()
