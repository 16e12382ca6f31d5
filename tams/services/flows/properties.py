"""Setting and unsetting single properties and tags of a Flow.

Each function raises `PreconditionFailed` if its `condition` on the stored Flow does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tams.domain.access import Access, document_classes, refuse_unclassified
from tams.domain.collection_views import related_flow_ids, visible_flow
from tams.domain.errors import Invalid, NotFound
from tams.domain.flow_rules import is_linked
from tams.domain.flows import Flow, Metadata
from tams.domain.preconditions import Condition
from tams.domain.principals import Principal
from tams.services.flows import flows
from tams.services.flows.changes import Reading, change, with_hidden_members_of
from tams.services.store import Store


def set_property(
    store: Store, flow_id: str, name: str, value: Any, principal: Principal, condition: Condition[Flow] | None = None
) -> None:
    """Set one property to a value of the right shape. Only `read_only` may be set on a read-only Flow."""
    access = store.access(principal)

    def edit(reading: Reading, metadata: Metadata) -> Metadata:
        changed = {**metadata, name: value}
        return with_hidden_members_of(reading, changed, metadata, access) if name == "flow_collection" else changed

    _edit(store, flow_id, name, edit, principal, condition)


def unset_property(
    store: Store, flow_id: str, name: str, principal: Principal, condition: Condition[Flow] | None = None
) -> None:
    """Unset one property. Nothing changes if it is not set."""
    access = store.access(principal)

    def edit(reading: Reading, metadata: Metadata) -> Metadata:
        if name not in metadata:
            return metadata
        changed = {key: value for key, value in metadata.items() if key != name}
        if name != "flow_collection":
            return changed
        changed = with_hidden_members_of(reading, changed, metadata, access)
        return metadata if changed.get(name) == metadata[name] else changed

    _edit(store, flow_id, name, edit, principal, condition)


def set_tag(
    store: Store,
    flow_id: str,
    name: str,
    value: str | list[str],
    principal: Principal,
    condition: Condition[Flow] | None = None,
) -> None:
    """Create or replace one tag."""

    def edit(_: Reading, metadata: Metadata) -> Metadata:
        return {**metadata, "tags": {**metadata["tags"], name: value}}

    _edit(store, flow_id, "tags", edit, principal, condition)


def delete_tag(
    store: Store, flow_id: str, name: str, principal: Principal, condition: Condition[Flow] | None = None
) -> None:
    """Remove one tag. Raise `NotFound` if it is not set."""
    access = store.access(principal)

    def edit(_: Reading, metadata: Metadata) -> Metadata:
        if name not in metadata["tags"]:
            raise NotFound(f"Flow {flow_id} has no such tag")
        refuse_unclassified(access, name)
        return {**metadata, "tags": {key: value for key, value in metadata["tags"].items() if key != name}}

    _edit(store, flow_id, "tags", edit, principal, condition)


def _edit(
    store: Store,
    flow_id: str,
    name: str,
    edit: Callable[[Reading, Metadata], Metadata],
    principal: Principal,
    condition: Condition[Flow] | None,
) -> None:
    """Store the metadata that `edit` returns for the stored metadata; the same object means "no change".

    Raise `PreconditionFailed` if the `condition` on the Flow, as the principal sees it, does not hold.
    """
    access = store.access(principal)

    def plan(reading: Reading) -> Metadata:
        stored = reading.stored
        if stored is None:
            raise flows.unknown(flow_id)
        if name != "read_only":
            flows.refuse_read_only(stored)
        if name == "avg_bit_rate" and is_linked(stored.metadata):
            raise Invalid.field(
                name, f"it comes from Profile {stored.metadata['profile_id']}; remove the link to change it"
            )
        metadata = edit(reading, stored.metadata)
        # After `edit`, because 404 for a tag that is not set, and 403, precede 412.
        if condition is not None:
            condition(_visible(reading, stored, access) if name == "flow_collection" else stored)
        return metadata

    change(store, flow_id, principal, plan)


def _visible(reading: Reading, flow: Flow, access: Access) -> Flow:
    """Return the Flow with those of its members and collectors that `access` may read."""
    if not access.is_limited:
        return flow
    related = reading.flows_by_id(related_flow_ids(flow)).values()
    readable = {other.id for other in related if access.may("read", document_classes(other.metadata))}
    return visible_flow(flow, readable)
