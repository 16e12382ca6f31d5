"""Flows: their metadata, and with it their Sources and collections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tams.domain.access import (
    AUTH_CLASSES,
    Access,
    Permission,
    document_classes,
    refuse_unclassified,
)
from tams.domain.collection_views import with_hidden_members
from tams.domain.collections import member_ids
from tams.domain.errors import Conflict, Forbidden, Invalid, NotFound
from tams.domain.filters import FlowFilter, FlowOrder
from tams.domain.flow_rules import (
    Errors,
    check_init_use,
    check_profile_link,
    check_technical,
    filled_in,
    is_linked,
)
from tams.domain.flows import Flow, Metadata
from tams.domain.identifiers import new_id, new_key
from tams.domain.limits import check_document_size
from tams.domain.principals import Principal
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Key, Page, Read, Write
from tams.services.access.authorization import readable_flows, require
from tams.services.access.visibility import VisibleRead
from tams.services.flows import collections, sources
from tams.services.outbox import Outbox
from tams.services.store import Retry, Store

Plan = Callable[[Read, Flow | None], Metadata]
"""What a Flow's document shall be, given the stored Flow. It may run several times, and refuses what is not allowed.

The stored document itself, unchanged, stands for "no change".
"""


def get(store: Store, flow_id: str, principal: Principal) -> Flow:
    """The Flow. `NotFound`, `Forbidden`."""
    return store.ask(principal, lambda sight: _existing(sight, flow_id))


def get_with_timerange(
    store: Store, flow_id: str, within: TimeRange | None, principal: Principal
) -> tuple[Flow, TimeRange | None]:
    """The Flow, and from the start of the first to the end of the last of its Segments that overlap `within` (of all of
    them where that is None); None where there is none. `NotFound`, `Forbidden`."""
    if within is None:
        flow = get(store, flow_id, principal)
        return flow, flow.extent
    with store.visible_to(principal) as sight:
        flow = _existing(sight, flow_id)
        return flow, sight.extent(flow.flow_key, within)


def list_flows(
    store: Store,
    *,
    where: FlowFilter,
    order: FlowOrder,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    principal: Principal,
) -> Page[Flow]:
    """A page of Flows."""
    with store.visible_to(principal) as sight:
        return sight.list_flows(where, order=order, reverse=reverse, after=after, limit=limit)


def writable(tx: Read, flow_id: str, access: Access, permission: Permission = "write") -> Flow:
    """The Flow, inside a transaction. `NotFound`; `Forbidden` without the permission, or where it is read-only."""
    flow = _existing(tx, flow_id)
    _require(access, permission, flow)
    _refuse_read_only(flow)
    return flow


def check_exists(store: Store, flow_id: str, principal: Principal) -> None:
    """`NotFound` unless there is such a Flow, `Forbidden` where it may not be read."""
    get(store, flow_id, principal)


def check_writable(store: Store, flow_id: str, principal: Principal) -> None:
    """`NotFound`, or `Forbidden` where the Flow may not be changed or is read-only: what is checked before a request's
    body is looked at."""
    store.repository.ask(lambda read: writable(read, flow_id, store.access(principal)))


def check_deletable(store: Store, flow_id: str, principal: Principal) -> None:
    """The same for what takes the permission to delete."""
    store.repository.ask(lambda read: writable(read, flow_id, store.access(principal), "delete"))


def check_settable(store: Store, flow_id: str, principal: Principal) -> None:
    """The same for what may be set on a read-only Flow, too."""
    flow = store.repository.ask(lambda read: _existing(read, flow_id))
    _require(store.access(principal), "write", flow)


def check_replaceable(store: Store, flow_id: str, principal: Principal) -> None:
    """The same where the Flow may be there or not: `NotFound` only where there is one that is not to be known of."""
    flow = store.repository.ask(lambda read: read.flow(flow_id))
    if flow is not None:
        _require(store.access(principal), "write", flow)
        _refuse_read_only(flow)


def put(store: Store, flow_id: str, document: Metadata, principal: Principal) -> tuple[Flow, bool]:
    """Create the Flow, or replace its metadata as a whole; the Flow, and True where it was created.

    `document` has the shape of `flow-put.json` without what is read-only. `Invalid` where it breaks a rule, `Forbidden`
    where the Flow is read-only.
    """
    if document["id"] != flow_id:
        raise Invalid.field("id", f"it has to be the id in the path, {flow_id}")
    access = store.access(principal)

    def plan(read: Read, stored: Flow | None) -> Metadata:
        if stored is not None:
            _refuse_read_only(stored)
        return _completed(store, read, document, stored, access)

    return _write(store, flow_id, principal, plan)


def create(store: Store, document: Metadata, principal: Principal) -> Flow:
    """Create a Flow; an id is made where none is given. `Conflict` where there is a Flow with that id."""
    flow_id: str = document.get("id") or new_id()
    access = store.access(principal)

    def plan(read: Read, stored: Flow | None) -> Metadata:
        if stored is not None:
            raise Conflict(f"there is a Flow {flow_id} already")
        return _completed(store, read, {**document, "id": flow_id}, None, access)

    return _write(store, flow_id, principal, plan)[0]


def set_property(store: Store, flow_id: str, name: str, value: Any, principal: Principal) -> None:
    """Set one property to a value of the right shape. Only `read_only` may be set on a read-only Flow."""

    access = store.access(principal)

    def edit(read: Read, document: Metadata) -> Metadata:
        changed = {**document, name: value}
        return _with_hidden_members(read, changed, document, access) if name == "flow_collection" else changed

    _edit(store, flow_id, name, edit, principal)


def unset_property(store: Store, flow_id: str, name: str, principal: Principal) -> None:
    """Unset one property; nothing changes where it is not set."""

    access = store.access(principal)

    def edit(read: Read, document: Metadata) -> Metadata:
        if name not in document:
            return document
        rest = {key: value for key, value in document.items() if key != name}
        if name != "flow_collection":
            return rest
        left = _with_hidden_members(read, rest, document, access)
        return document if left.get(name) == document[name] else left

    _edit(store, flow_id, name, edit, principal)


def set_tag(store: Store, flow_id: str, name: str, value: str | list[str], principal: Principal) -> None:
    """Create or replace one tag."""

    def edit(_: Read, document: Metadata) -> Metadata:
        return {**document, "tags": {**document["tags"], name: value}}

    _edit(store, flow_id, "tags", edit, principal)


def delete_tag(store: Store, flow_id: str, name: str, principal: Principal) -> None:
    """Remove one tag. `NotFound` where it is not set."""

    access = store.access(principal)

    def edit(_: Read, document: Metadata) -> Metadata:
        if name not in document["tags"]:
            raise NotFound(f"Flow {flow_id} has no such tag")
        refuse_unclassified(access, name)
        return {**document, "tags": {key: value for key, value in document["tags"].items() if key != name}}

    _edit(store, flow_id, "tags", edit, principal)


def _edit(
    store: Store, flow_id: str, name: str, edit: Callable[[Read, Metadata], Metadata], principal: Principal
) -> None:
    def plan(read: Read, stored: Flow | None) -> Metadata:
        if stored is None:
            raise _unknown(flow_id)
        if name != "read_only":
            _refuse_read_only(stored)
        if name == "avg_bit_rate" and is_linked(stored.metadata):
            raise Invalid.field(
                name, f"it comes from the Profile {stored.metadata['profile_id']}: break the link to change it"
            )
        return edit(read, stored.metadata)

    _write(store, flow_id, principal, plan)


def _write(store: Store, flow_id: str, principal: Principal, plan: Plan) -> tuple[Flow, bool]:
    """Store what `plan` makes of the Flow, with its Source and its collection; the Flow, and True where it is new.

    `NotFound` and `Forbidden` as the classes have it of the Flow, of a Source that it comes to, and of a change of the
    classes themselves.
    """
    version, key = new_id(), new_key()
    access = store.access(principal)

    def permitted(tx: Read, stored: Flow | None) -> Metadata:
        if stored is not None:
            _require(access, "write", stored)
        document = plan(tx, stored)
        if access.is_limited and (stored is None or document is not stored.metadata):
            _check_classes(tx, access, stored, document)
        return document

    def transact(tx: Write) -> tuple[Flow, bool]:
        stored = tx.flow(flow_id)
        claimed = _keys(tx, stored, permitted(tx, stored))
        tx.claim(*sorted(claimed))
        stored = tx.flow(flow_id)
        document = permitted(tx, stored)
        if stored is not None and document is stored.metadata:
            return stored, False
        if not _keys(tx, stored, document) <= claimed:
            raise Retry
        now = store.now()
        document = _signed(document, stored, version, principal)
        check_document_size(document)
        source_id: str = document["source_id"]
        outbox = Outbox(tx)
        new_source = sources.ensure(tx, document, now, principal)
        if stored is None:
            flow = Flow(flow_id, key, source_id, document, created=now, metadata_updated=now)
        else:
            _refuse(check_init_use(document, tx.init_use(stored.flow_key)))
            at = stored.next_change(now)
            flow = replace(stored, source_id=source_id, metadata=document, metadata_updated=at)
        collections.put_flow(tx, stored, flow, access)
        if new_source:
            outbox.source_created(source_id)
        if stored is None:
            outbox.flow_created(flow)
            return flow, True
        outbox.flow_updated(flow)
        if stored.source_id != source_id:
            sources.release(tx, outbox, stored.source_id, now)
        return flow, False

    return store.write(transact)


def _check_classes(read: Read, access: Access, stored: Flow | None, document: Metadata) -> None:
    """Refuse what a limited principal may not do to the classes, or with the Source that the Flow comes to."""
    source_id: str = document["source_id"]
    if stored is None or stored.source_id != source_id:
        source = read.source(source_id)
        if source is not None:
            of_source = document_classes(source.metadata)
            require(access, "write", of_source, f"Source {source_id}")
            if stored is None and set(document_classes(document)) == set(of_source):
                # What a new Flow takes from its Source when it brings none itself.
                return
    access.check_change(() if stored is None else document_classes(stored.metadata), document_classes(document))


def _with_hidden_members(read: Read, document: Metadata, stored: Metadata, access: Access) -> Metadata:
    """The document with those members of the stored collection that its writer cannot see, each in its place.

    `Invalid` where the writer names one of them, or another Flow that they cannot see: as for one that does not exist.
    """
    if not access.is_limited:
        return document
    wanted: list[Metadata] = document.get("flow_collection", [])
    before: list[Metadata] = stored.get("flow_collection", [])
    ids = {item["id"] for item in (*wanted, *before)}
    readable = readable_flows(read, access, ids) if ids else set()
    collections.refuse_unknown(document, readable)
    merged = with_hidden_members(wanted, before, readable)
    if "flow_collection" in document or merged:
        return {**document, "flow_collection": merged}
    return document


def _keys(read: Read, stored: Flow | None, document: Metadata) -> set[Key]:
    """What the change from `stored` to `document` rests on.

    A Source cannot go while its Flow stays, and its format never changes: it is claimed where a Flow comes or leaves.
    """
    keys: set[Key] = {("flow", document["id"])}
    if is_linked(document):
        keys.add(("profile", document["profile_id"]))
    if stored is None:
        keys.add(("source", document["source_id"]))
    elif stored.source_id != document["source_id"]:
        keys |= {("source", stored.source_id), ("source", document["source_id"])}
    if collections.changes(stored, document):
        before = stored or Flow(document["id"], 0, document["source_id"], document, created=0, metadata_updated=0)
        keys.update(collections.claims(read, before, member_ids(document)))
    return keys


def _completed(store: Store, read: Read, document: Metadata, stored: Flow | None, access: Access) -> Metadata:
    """The client's document with a Profile's technical metadata filled in, the classes of its Source where it is new
    and has none, and the members that the client cannot see. `Invalid` where it breaks a rule."""
    _refuse(check_profile_link(document, stored.metadata if stored is not None else None))
    if not is_linked(document):
        _refuse(check_technical(document))
        complete = {name: value for name, value in document.items() if name != "profile_id"}
    else:
        profile = read.document("profile", document["profile_id"])
        if profile is None:
            raise Invalid.field("profile_id", "there is no Profile with this id; see /service/profiles")
        complete = filled_in(document, profile.body["flow_metadata"])
    complete = {**complete, "tags": document.get("tags", {})}
    if store.classes is not None and stored is None:
        complete = _with_classes_of_source(read, complete)
    return _with_hidden_members(read, complete, {} if stored is None else stored.metadata, access)


def _with_classes_of_source(read: Read, document: Metadata) -> Metadata:
    if document_classes(document):
        return document
    source = read.source(document["source_id"])
    if source is None or not document_classes(source.metadata):
        return document
    held = source.metadata["tags"][AUTH_CLASSES]
    return {**document, "tags": {**document["tags"], AUTH_CLASSES: held}}


def _signed(document: Metadata, stored: Flow | None, version: str, principal: Principal) -> Metadata:
    """The document with its version and the names of those who made and changed it (`flow-common.json`).

    A `metadata_version` or `updated_by` that is equal to the stored one counts as not given.
    """
    before: Metadata = stored.metadata if stored is not None else {}
    signed = {**document}
    for name, default in (("metadata_version", version), ("updated_by", principal.name)):
        if signed.get(name) is None or signed[name] == before.get(name):
            signed[name] = default
    signed["created_by"] = before.get("created_by", signed.get("created_by", principal.name))
    return signed


def _require(access: Access, permission: Permission, flow: Flow) -> None:
    if access.is_limited:
        require(access, permission, document_classes(flow.metadata), f"Flow {flow.id}", _unknown(flow.id))


def _existing(read: VisibleRead, flow_id: str) -> Flow:
    flow = read.flow(flow_id)
    if flow is None:
        raise _unknown(flow_id)
    return flow


def _unknown(flow_id: str) -> NotFound:
    return NotFound(f"there is no Flow {flow_id}")


def _refuse_read_only(flow: Flow) -> None:
    if flow.metadata.get("read_only", False):
        raise Forbidden(f"Flow {flow.id} is read-only; PUT /flows/{flow.id}/read_only lifts it")


def _refuse(errors: Errors) -> None:
    if errors:
        raise Invalid.fields(errors)
