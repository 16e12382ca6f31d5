"""Sources: declared by `POST /sources`, or created with their first Flow."""

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
from tams.domain.preconditions import Condition
from tams.domain.principals import Principal
from tams.repository.port import Cursor, Page, Read, Write
from tams.services.access.authorization import require
from tams.services.access.visibility import VisibleRead
from tams.services.flows import collections
from tams.services.outbox import Outbox
from tams.services.store import Store
from tams.services.unit_of_work import claim


def get(store: Store, source_id: str, principal: Principal) -> Source:
    """Return the Source. Raise `NotFound` or `Forbidden`."""
    return store.ask(principal, lambda read: _existing(read, source_id))


def check_writable(store: Store, source_id: str, principal: Principal) -> None:
    """Raise `NotFound` unless the Source exists, `Forbidden` if it may not be changed."""
    store.repository.ask(lambda read: permitted(read, source_id, store.access(principal), "write"))


def check_deletable(store: Store, source_id: str, principal: Principal) -> None:
    """Raise `NotFound` unless the Source exists, `Forbidden` if it may not be deleted."""
    store.repository.ask(lambda read: permitted(read, source_id, store.access(principal), "delete"))


def permitted(read: Read, source_id: str, access: Access, permission: Permission) -> Source:
    """Read the Source and return it. Raise `NotFound`, or `Forbidden` if `access` lacks the permission."""
    source = _existing(read, source_id)
    _refuse_unpermitted(source, access, permission)
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
    """Return a page of the Sources that match `where`, in the given order, `reverse` turning it round."""
    with store.visible_to(principal) as read:
        return read.list_sources(where, order=order, reverse=reverse, after=after, limit=limit)


def create(store: Store, metadata: Metadata, principal: Principal) -> Source:
    """Declare a Source, which then stays until it is deleted, and return it; it gets a new id if `metadata` has none.

    Raises:
        Conflict: a Source with this id exists.
        NotFound: a Source with this id exists, and the principal may not know of it.
        Invalid: the metadata has no class, so that the principal could never read the Source.
    """
    source_id: str = metadata.get("id") or new_id()
    names: Metadata = {"created_by": principal.name, "updated_by": principal.name}
    complete = {"id": source_id, **names, "tags": {}, **metadata}
    check_document_size(complete)
    access = store.access(principal)

    def transact(tx: Write) -> Source:
        claim(tx, [("source", source_id)])
        stored = tx.source(source_id)
        if stored is not None:
            _refuse_unpermitted(stored, access, "write")
            raise Conflict(f"Source {source_id} already exists; choose another id")
        access.check_change((), document_classes(complete))
        now = store.now()
        source = Source(source_id, complete, created=now, updated=now, implicit=False)
        tx.put_source(source)
        Outbox(tx).source_created(source_id)
        return source

    return store.write(transact)


def ensure(tx: Write, stored: Source | None, flow_metadata: Metadata, now: int, principal: Principal) -> bool:
    """Create the Source of a Flow unless it is stored; return True if it is new.

    The caller has claimed the Source, and has read `stored` since. A new Source takes the Flow's format, label,
    description and tags. The caller appends the event of a new Source once the Flow is stored, because the Source's
    collections follow from it. `now` is in microseconds. Raise `Invalid` if the formats differ.
    """
    source_id: str = flow_metadata["source_id"]
    if stored is not None:
        refuse_other_format(source_id, stored.metadata["format"], flow_metadata)
        return False
    names = ("format", "label", "description")
    inherited: Metadata = {name: flow_metadata[name] for name in names if name in flow_metadata}
    metadata: Metadata = {
        "id": source_id,
        **inherited,
        "tags": flow_metadata.get("tags", {}),
        "created_by": principal.name,
        "updated_by": principal.name,
    }
    tx.put_source(Source(source_id, metadata, created=now, updated=now, implicit=True))
    return True


def refuse_other_format(source_id: str, source_format: str, flow_metadata: Metadata) -> None:
    """Raise `Invalid` if the Flow's format is not that of its Source."""
    if source_format != flow_metadata["format"]:
        raise Invalid.field("format", f"must be the format of Source {source_id}, {source_format}")


def release(tx: Write, outbox: Outbox, source_id: str, now: int) -> bool:
    """Remove an implicit Source that has no Flow left; return True if it was removed.

    The caller has claimed the Source, and `collections.keys` of the Flow that has just left it. `now` is in
    microseconds.
    """
    source = tx.source(source_id)
    if source is None or not source.implicit or tx.count_up_to("flows of source", source_id, 1):
        return False
    if source.collection or source.collected_by:
        collections.rederive(tx, {source_id, *source.collected_by})
    tx.delete_source(source_id)
    outbox.source_deleted(source, now)
    return True


def set_property(
    store: Store,
    source_id: str,
    name: str,
    value: Any,
    principal: Principal,
    condition: Condition[Source] | None = None,
) -> None:
    """Set `label` or `description`."""
    _edit(store, source_id, principal, condition, lambda metadata: {**metadata, name: value})


def unset_property(
    store: Store, source_id: str, name: str, principal: Principal, condition: Condition[Source] | None = None
) -> None:
    """Unset `label` or `description`."""

    def edit(metadata: Metadata) -> Metadata | None:
        return {key: value for key, value in metadata.items() if key != name} if name in metadata else None

    _edit(store, source_id, principal, condition, edit)


def set_tag(
    store: Store,
    source_id: str,
    name: str,
    value: str | list[str],
    principal: Principal,
    condition: Condition[Source] | None = None,
) -> None:
    """Create or replace one tag."""
    _edit(
        store, source_id, principal, condition, lambda metadata: {**metadata, "tags": {**metadata["tags"], name: value}}
    )


def delete_tag(
    store: Store, source_id: str, name: str, principal: Principal, condition: Condition[Source] | None = None
) -> None:
    """Remove one tag. Raise `NotFound` if it is not set."""
    access = store.access(principal)

    def edit(metadata: Metadata) -> Metadata:
        if name not in metadata["tags"]:
            raise NotFound(f"Source {source_id} has no such tag")
        refuse_unclassified(access, name)
        return {**metadata, "tags": {key: value for key, value in metadata["tags"].items() if key != name}}

    _edit(store, source_id, principal, condition, edit)


def _existing(read: VisibleRead, source_id: str) -> Source:
    source = read.source(source_id)
    if source is None:
        raise NotFound(f"there is no Source {source_id}")
    return source


def _refuse_unpermitted(source: Source, access: Access, permission: Permission) -> None:
    if access.is_limited:
        require(access, permission, document_classes(source.metadata), f"Source {source.id}")


def _edit(
    store: Store,
    source_id: str,
    principal: Principal,
    condition: Condition[Source] | None,
    edit: Callable[[Metadata], Metadata | None],
) -> None:
    """Store the metadata that `edit` returns for the stored metadata; None means "no change".

    Raise `NotFound` or `Forbidden`, also for a change of classes that the principal may not make, and
    `PreconditionFailed` if the `condition` on the stored Source does not hold.
    """
    access = store.access(principal)

    def transact(tx: Write) -> None:
        claim(tx, [("source", source_id)])
        source = permitted(tx, source_id, access, "write")
        metadata = edit(source.metadata)
        # After `edit`, because 404 for a tag that is not set, and 403, precede 412.
        if condition is not None:
            condition(source)
        if metadata is None:
            return
        access.check_change(document_classes(source.metadata), document_classes(metadata))
        metadata = {**metadata, "updated_by": principal.name}
        check_document_size(metadata)
        changed = replace(source, metadata=metadata, updated=source.next_change(store.now()))
        tx.put_source(changed)
        Outbox(tx).source_updated(changed)

    store.write(transact)
