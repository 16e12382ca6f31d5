"""Sources: declared by `POST /sources`, or brought into being by their first Flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tams.domain.access import Access, Permission, document_classes, refuse_unclassified
from tams.domain.errors import Conflict, Invalid, NotFound
from tams.domain.filters import SourceFilter, SourceOrder
from tams.domain.flows import Metadata, Source
from tams.domain.identifiers import new_id
from tams.domain.limits import check_document_size
from tams.domain.principals import Principal
from tams.repository.port import Cursor, Page, Read, Write
from tams.services.access.authorization import require
from tams.services.access.visibility import VisibleRead
from tams.services.flows import collections
from tams.services.outbox import Outbox
from tams.services.store import Store


def get(store: Store, source_id: str, principal: Principal) -> Source:
    """The Source. `NotFound`, `Forbidden`."""
    return store.ask(principal, lambda sight: _existing(sight, source_id))


def check_writable(store: Store, source_id: str, principal: Principal) -> None:
    """`NotFound` unless there is such a Source, `Forbidden` where it may not be changed."""
    store.repository.ask(lambda read: permitted(read, source_id, store.access(principal), "write"))


def check_deletable(store: Store, source_id: str, principal: Principal) -> None:
    """`NotFound` unless there is such a Source, `Forbidden` where it may not be deleted."""
    store.repository.ask(lambda read: permitted(read, source_id, store.access(principal), "delete"))


def permitted(read: Read, source_id: str, access: Access, permission: Permission) -> Source:
    """The Source. `NotFound`; `Forbidden` without the permission."""
    source = _existing(read, source_id)
    if access.is_limited:
        require(access, permission, document_classes(source.metadata), f"Source {source_id}")
    return source


def list_sources(
    store: Store,
    *,
    where: SourceFilter,
    order: SourceOrder,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    principal: Principal,
) -> Page[Source]:
    """A page of Sources."""
    with store.visible_to(principal) as sight:
        return sight.list_sources(where, order=order, reverse=reverse, after=after, limit=limit)


def create(store: Store, document: Metadata, principal: Principal) -> Source:
    """Declare a Source, which then stays until it is deleted; an id is made where none is given.

    `Conflict` where there is a Source with that id; `NotFound` where that one is not to be known of. `Invalid` without
    a class, where the principal would not see it again.
    """
    source_id: str = document.get("id") or new_id()
    by: Metadata = {"created_by": principal.name, "updated_by": principal.name}
    complete = {"id": source_id, **by, "tags": {}, **document}
    check_document_size(complete)
    access = store.access(principal)

    def transact(tx: Write) -> Source:
        tx.claim(("source", source_id))
        if tx.source(source_id) is not None:
            permitted(tx, source_id, access, "write")
            raise Conflict(f"there is a Source {source_id} already")
        access.check_change((), document_classes(complete))
        now = store.now()
        source = Source(source_id, complete, created=now, updated=now, implicit=False)
        tx.put_source(source)
        Outbox(tx).source_created(source_id)
        return source

    return store.write(transact)


def ensure(tx: Write, flow_document: Metadata, now: int, principal: Principal) -> bool:
    """Have the Source of a Flow, which the caller has claimed; `now` in microseconds. True where it is new: the caller
    writes the event once the Flow is stored, because the Source's collections follow from it.

    Where it does not exist it takes the Flow's format, label, description and tags. `Invalid` where its format differs.
    """
    source_id: str = flow_document["source_id"]
    stored = tx.source(source_id)
    if stored is None:
        names = ("format", "label", "description")
        inherited: Metadata = {name: flow_document[name] for name in names if name in flow_document}
        document: Metadata = {
            "id": source_id,
            **inherited,
            "tags": flow_document.get("tags", {}),
            "created_by": principal.name,
            "updated_by": principal.name,
        }
        tx.put_source(Source(source_id, document, created=now, updated=now, implicit=True))
        return True
    if stored.metadata["format"] != flow_document["format"]:
        raise Invalid.field("format", f"it differs from that of Source {source_id}, {stored.metadata['format']}")
    return False


def release(tx: Write, outbox: Outbox, source_id: str, now: int) -> bool:
    """Remove an implicit Source that has no Flow left; True where it went. The caller has claimed it, and what
    `collections.claims` names for the Flow that has just left it."""
    source = tx.source(source_id)
    if source is None or not source.implicit or tx.count_up_to("flows of source", source_id, 1):
        return False
    if source.collection or source.collected_by:
        collections.rederive(tx, {source_id, *source.collected_by})
    tx.delete_source(source_id)
    outbox.source_deleted(source, now)
    return True


def set_property(store: Store, source_id: str, name: str, value: Any, principal: Principal) -> None:
    """Set `label` or `description`."""
    _edit(store, source_id, principal, lambda document: {**document, name: value})


def unset_property(store: Store, source_id: str, name: str, principal: Principal) -> None:
    """Unset `label` or `description`."""

    def edit(document: Metadata) -> Metadata | None:
        return {key: value for key, value in document.items() if key != name} if name in document else None

    _edit(store, source_id, principal, edit)


def set_tag(store: Store, source_id: str, name: str, value: str | list[str], principal: Principal) -> None:
    """Create or replace one tag."""
    _edit(store, source_id, principal, lambda document: {**document, "tags": {**document["tags"], name: value}})


def delete_tag(store: Store, source_id: str, name: str, principal: Principal) -> None:
    """Remove one tag. `NotFound` where it is not set."""

    access = store.access(principal)

    def edit(document: Metadata) -> Metadata:
        if name not in document["tags"]:
            raise NotFound(f"Source {source_id} has no such tag")
        refuse_unclassified(access, name)
        return {**document, "tags": {key: value for key, value in document["tags"].items() if key != name}}

    _edit(store, source_id, principal, edit)


def _existing(read: VisibleRead, source_id: str) -> Source:
    source = read.source(source_id)
    if source is None:
        raise NotFound(f"there is no Source {source_id}")
    return source


def _edit(store: Store, source_id: str, principal: Principal, edit: Callable[[Metadata], Metadata | None]) -> None:
    """Store what `edit` makes of the document; None is no change. `NotFound`; `Forbidden`, also for a change of classes
    that the principal may not make."""
    access = store.access(principal)

    def transact(tx: Write) -> None:
        tx.claim(("source", source_id))
        source = permitted(tx, source_id, access, "write")
        document = edit(source.metadata)
        if document is None:
            return
        access.check_change(document_classes(source.metadata), document_classes(document))
        document = {**document, "updated_by": principal.name}
        check_document_size(document)
        changed = replace(source, metadata=document, updated=source.next_change(store.now()))
        tx.put_source(changed)
        Outbox(tx).source_updated(changed)

    store.write(transact)
