"""Creating Flows and changing their metadata, and with it their Sources and collections."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from tams.domain.access import AUTH_CLASSES, Access, document_classes
from tams.domain.collection_views import with_hidden_members
from tams.domain.collections import member_ids
from tams.domain.errors import Conflict, Invalid
from tams.domain.flow_rules import (
    Errors,
    check_init_use,
    check_profile_link,
    check_technical,
    filled_in,
    is_linked,
)
from tams.domain.flows import Flow, Metadata, Source
from tams.domain.identifiers import new_id, new_key
from tams.domain.limits import check_document_size
from tams.domain.preconditions import Condition
from tams.domain.principals import Principal
from tams.repository.port import Document, Key, Read, Write
from tams.services.access.authorization import require
from tams.services.flows import collections, flows, profiles, sources
from tams.services.outbox import Outbox
from tams.services.store import Store
from tams.services.unit_of_work import claim_and_reread


class Reading:
    """A reader for one change of a Flow, before its claim or after it. It reads each thing once."""

    def __init__(self, read: Read, flow_id: str) -> None:
        self.stored = read.flow(flow_id)
        """The Flow as it is stored, None if it is new."""
        self._read = read
        self._flows: dict[str, Flow] = {}
        self._absent: set[str] = set()
        self._sources: dict[str, Source | None] = {}

    def source(self, source_id: str) -> Source | None:
        """Return the Source."""
        if source_id not in self._sources:
            self._sources[source_id] = self._read.source(source_id)
        return self._sources[source_id]

    def profile(self, profile_id: str) -> Document | None:
        """Return the document of the Profile."""
        return self._read.document(profiles.KIND, profile_id)

    def flows_by_id(self, flow_ids: Collection[str]) -> dict[str, Flow]:
        """Return those of the Flows that exist."""
        ids = set(flow_ids)
        unread = ids - self._flows.keys() - self._absent
        if unread:
            self._flows |= self._read.flows_by_id(unread)
            self._absent |= unread - self._flows.keys()
        return {flow_id: self._flows[flow_id] for flow_id in ids & self._flows.keys()}


Plan = Callable[[Reading], Metadata]
"""Returns the metadata that a Flow shall have, or raises an error if the change is not allowed. It may run several
times. If it returns the stored metadata itself, the same object, nothing changes."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a Flow: what was read, the metadata that it shall have, and the Flows around it in collections."""

    reading: Reading
    metadata: Metadata
    known: dict[str, Flow]

    @property
    def keys(self) -> set[Key]:
        """The keys to claim.

        A Source cannot go while its Flow stays, and its format never changes. So it is claimed only if the Flow is new
        or changes its Source.
        """
        stored, metadata = self.reading.stored, self.metadata
        source_id: str = metadata["source_id"]
        keys: set[Key] = {("flow", metadata["id"])}
        if is_linked(metadata):
            keys.add(("profile", metadata["profile_id"]))
        if stored is None:
            keys.add(("source", source_id))
        elif stored.source_id != source_id:
            keys |= {("source", stored.source_id), ("source", source_id)}
        if collections.changes(stored, metadata):
            flow = stored or Flow(metadata["id"], 0, source_id, metadata, created=0, metadata_updated=0)
            keys |= collections.keys(flow, self.known, member_ids(metadata))
        return keys


def put(
    store: Store, flow_id: str, metadata: Metadata, principal: Principal, condition: Condition[Flow] | None = None
) -> tuple[Flow, bool]:
    """Create the Flow, or replace its metadata as a whole; return the Flow, and True if it was created.

    `metadata` has the shape of `flow-put.json` without the read-only properties.

    Raises:
        Invalid: the metadata breaks a rule.
        NotFound, Forbidden: the principal may not make this change, or the Flow is read-only.
        PreconditionFailed: the `condition` on the Flow does not hold.
    """
    if metadata["id"] != flow_id:
        raise Invalid.field("id", f"must be the id in the path, {flow_id}")
    access = store.access(principal)

    def plan(reading: Reading) -> Metadata:
        if reading.stored is not None:
            flows.refuse_read_only(reading.stored)
        if condition is not None:
            condition(reading.stored)
        return _completed(store, reading, metadata, access)

    return change(store, flow_id, principal, plan)


def create(store: Store, metadata: Metadata, principal: Principal) -> Flow:
    """Create a Flow and return it; it gets a new id if `metadata` has none. Raise `Conflict` if the id is in use."""
    flow_id: str = metadata.get("id") or new_id()
    access = store.access(principal)

    def plan(reading: Reading) -> Metadata:
        if reading.stored is not None:
            raise Conflict(f"Flow {flow_id} already exists; choose another id")
        return _completed(store, reading, {**metadata, "id": flow_id}, access)

    return change(store, flow_id, principal, plan)[0]


def change(store: Store, flow_id: str, principal: Principal, plan: Plan) -> tuple[Flow, bool]:
    """Store the metadata that `plan` returns, with its Source and its collection.

    Returns the Flow, and True if it is new.

    Raises:
        NotFound, Forbidden: the principal lacks a permission on the Flow, on the Source that it comes to, or to change
            the classes themselves.
        Invalid: the metadata breaks a rule.
    """
    version, flow_key = new_id(), new_key()
    access = store.access(principal)

    def read_change(read: Read) -> _Change:
        reading = Reading(read, flow_id)
        stored = reading.stored
        if stored is not None:
            flows.refuse_unpermitted(stored, access, "write")
        metadata = plan(reading)
        if access.is_limited and (stored is None or metadata is not stored.metadata):
            _check_classes(reading, access, metadata)
        known: dict[str, Flow] = {}
        if collections.changes(stored, metadata):
            known = collections.related(reading, () if stored is None else (stored,), member_ids(metadata))
        return _Change(reading, metadata, known)

    def transact(tx: Write) -> tuple[Flow, bool]:
        planned = claim_and_reread(tx, read_change, lambda change: change.keys)
        stored = planned.reading.stored
        if stored is not None and planned.metadata is stored.metadata:
            return stored, False
        now = store.now()
        metadata = _signed(planned.metadata, stored, version, principal)
        check_document_size(metadata)
        source_id: str = metadata["source_id"]
        outbox = Outbox(tx)
        new_source = False
        if stored is not None and stored.source_id == source_id:
            sources.refuse_other_format(source_id, stored.metadata["format"], metadata)
        else:
            new_source = sources.ensure(tx, planned.reading.source(source_id), metadata, now, principal)
        if stored is None:
            flow = Flow(flow_id, flow_key, source_id, metadata, created=now, metadata_updated=now)
        else:
            if stored.count:
                _refuse(check_init_use(metadata, tx.init_use(stored.flow_key)))
            at = stored.next_change(now)
            flow = replace(stored, source_id=source_id, metadata=metadata, metadata_updated=at)
        collections.put_flow(tx, stored, flow, planned.known, access)
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


def with_hidden_members_of(reading: Reading, metadata: Metadata, stored: Metadata, access: Access) -> Metadata:
    """Return the metadata with those members of the stored collection that `access` may not read, each in its place.

    Raises:
        Invalid: the metadata names a Flow that does not exist or that `access` may not read. The error is the same.
    """
    if not access.is_limited:
        return metadata
    members: list[Metadata] = metadata.get("flow_collection", [])
    stored_members: list[Metadata] = stored.get("flow_collection", [])
    known = reading.flows_by_id({item["id"] for item in (*members, *stored_members)})
    readable = {flow.id for flow in known.values() if access.may("read", document_classes(flow.metadata))}
    collections.refuse_unknown(metadata, readable)
    merged = with_hidden_members(members, stored_members, readable)
    if "flow_collection" in metadata or merged:
        return {**metadata, "flow_collection": merged}
    return metadata


def _check_classes(reading: Reading, access: Access, metadata: Metadata) -> None:
    """Refuse a change of classes that limited access does not allow, and a Source that it may not write to."""
    stored = reading.stored
    source_id: str = metadata["source_id"]
    if stored is None or stored.source_id != source_id:
        source = reading.source(source_id)
        if source is not None:
            source_classes = document_classes(source.metadata)
            require(access, "write", source_classes, f"Source {source_id}")
            if stored is None and set(document_classes(metadata)) == set(source_classes):
                # A new Flow without classes takes these from its Source.
                return
    access.check_change(() if stored is None else document_classes(stored.metadata), document_classes(metadata))


def _completed(store: Store, reading: Reading, metadata: Metadata, access: Access) -> Metadata:
    """Return the client's metadata with what the store adds to it.

    Added are a Profile's technical metadata, the classes of the Source if the Flow is new and has none, and the members
    that the client may not read. Raise `Invalid` if the metadata breaks a rule.
    """
    stored = reading.stored
    _refuse(check_profile_link(metadata, stored.metadata if stored is not None else None))
    if not is_linked(metadata):
        _refuse(check_technical(metadata))
        complete = {name: value for name, value in metadata.items() if name != "profile_id"}
    else:
        profile = reading.profile(metadata["profile_id"])
        if profile is None:
            raise Invalid.field("profile_id", "there is no Profile with this id; see /service/profiles")
        complete = filled_in(metadata, profile.body["flow_metadata"])
    complete = {**complete, "tags": metadata.get("tags", {})}
    if store.classes is not None and stored is None:
        complete = _with_classes_of_source(reading, complete)
    return with_hidden_members_of(reading, complete, {} if stored is None else stored.metadata, access)


def _with_classes_of_source(reading: Reading, metadata: Metadata) -> Metadata:
    if document_classes(metadata):
        return metadata
    source = reading.source(metadata["source_id"])
    if source is None or not document_classes(source.metadata):
        return metadata
    return {**metadata, "tags": {**metadata["tags"], AUTH_CLASSES: source.metadata["tags"][AUTH_CLASSES]}}


def _signed(metadata: Metadata, stored: Flow | None, version: str, principal: Principal) -> Metadata:
    """Return the metadata with its version and the names of its creator and its last editor (`flow-common.json`).

    A `metadata_version` or `updated_by` that is equal to the stored one counts as not given.
    """
    before: Metadata = stored.metadata if stored is not None else {}
    signed = {**metadata}
    for name, default in (("metadata_version", version), ("updated_by", principal.name)):
        if signed.get(name) is None or signed[name] == before.get(name):
            signed[name] = default
    signed["created_by"] = before.get("created_by", signed.get("created_by", principal.name))
    return signed


def _refuse(errors: Errors) -> None:
    if errors:
        raise Invalid.fields(errors)
