"""Collections of Flows, and what is derived from them: `collected_by`, and the collections of Sources.

Every change of a `flow_collection`, and of the Source of a Flow that takes part in one, claims `("collections", "")`:
the graph of collections does not change while a transaction looks at it. Values that are derived here are no change of
metadata: they change neither the `metadata_version` nor any time of the members.

A transaction reads the Flows concerned once, after its claim, by `related`. It passes the result on as `known`, a
mapping by id, which the functions here keep up to date with what they store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tams.domain.access import Access, document_classes
from tams.domain.collections import Disagreement, Member, derive, member_ids, without
from tams.domain.errors import Forbidden, Invalid
from tams.domain.filters import FlowFilter
from tams.domain.flows import Flow, Metadata
from tams.domain.identifiers import new_id
from tams.repository.port import Key, Read, Write, all_items
from tams.services.access.authorization import readable_sources

_PAGE = 1000


class FlowsById(Protocol):
    """A `Read`, or a reader that asks each Flow of it only once."""

    def flows_by_id(self, flow_ids: Collection[str]) -> dict[str, Flow]:
        """Return those of the Flows that exist."""


def related(read: FlowsById, flows: Iterable[Flow], members: Collection[str] = ()) -> dict[str, Flow]:
    """Return the Flows, their collectors, their members and the `members` that they shall get besides, by id."""
    known = {flow.id: flow for flow in flows}
    ids = {*members, *(flow_id for flow in known.values() for flow_id in _neighbours(flow))}
    others = ids - known.keys()
    return known | read.flows_by_id(others) if others else known


def keys(flow: Flow, known: Mapping[str, Flow], members: Iterable[str] = ()) -> set[Key]:
    """Return the keys to claim before the Flow's place in collections changes.

    They are those of the Flow, its collectors, its members, the `members` that it shall get, and the Sources of all of
    them.
    """
    flow_ids = {flow.id, *_neighbours(flow), *members}
    source_ids = {flow.source_id, *(known[flow_id].source_id for flow_id in flow_ids & known.keys())}
    return {
        ("collections", ""),
        *(("flow", flow_id) for flow_id in flow_ids),
        *(("source", source_id) for source_id in source_ids),
    }


def changes(stored: Flow | None, metadata: Metadata) -> bool:
    """Return whether replacing `stored` by `metadata` changes any collection, its own or that of a Source."""
    if stored is None:
        return bool(metadata.get("flow_collection"))
    if stored.metadata.get("flow_collection", []) != metadata.get("flow_collection", []):
        return True
    return bool(_neighbours(stored)) and stored.source_id != metadata["source_id"]


def put_flow(tx: Write, stored: Flow | None, flow: Flow, known: dict[str, Flow], access: Access) -> None:
    """Store the Flow in place of `stored`, and the changes of other Flows and of Sources that its collection causes.

    The caller has claimed `keys` if `changes` returns True, and the Flow's Source exists.

    Raises:
        Invalid: a member does not exist, the Flow would collect itself through others, or the Flows of a Source would
            disagree about order or roles. The message names only Sources that `access` may read.
    """
    if not changes(stored, flow.metadata):
        tx.put_flow(flow)
        return
    members = set(member_ids(flow.metadata))
    former_members = set(member_ids(stored.metadata)) if stored is not None else set()
    refuse_unknown(flow.metadata, known)
    _refuse_cycle(tx, flow.id, members, known)
    _store(tx, flow, known)
    _uncollect(tx, flow.id, former_members - members, known)
    for member_id in members - former_members:
        member = known[member_id]
        _store(tx, replace(member, collected_by=tuple(sorted({*member.collected_by, flow.id}))), known)
    collectors = [known[flow_id] for flow_id in flow.collected_by if flow_id in known]
    if stored is not None and stored.source_id != flow.source_id:
        rederive(tx, {stored.source_id})
    rederive(tx, {flow.source_id, *(collector.source_id for collector in collectors)}, refuse_disagreement=access)


def rederive(tx: Write, source_ids: Collection[str], *, refuse_disagreement: Access | None = None) -> None:
    """Recompute the collections of the Sources from the stored Flows, and store what changed, `collected_by` included.

    Sources that do not exist are skipped. Where the Flows of a Source disagree, the older Flow decides.

    Raises:
        Invalid: the Flows of a Source disagree, and `refuse_disagreement` is given: the access that limits what the
            message may name.
    """
    for source_id in sorted(source_ids):
        source = tx.source(source_id)
        if source is None:
            continue
        derived = derive(_collections_of(tx, source_id))
        if refuse_disagreement is not None and derived.disagreements:
            raise _disagreement(tx, refuse_disagreement, derived.disagreements)
        if derived.items == source.collection:
            continue
        tx.put_source(replace(source, collection=derived.items))
        before = {item["id"] for item in source.collection}
        after = {item["id"] for item in derived.items}
        for member in tx.sources_by_id(before ^ after).values():
            collected_by = set(member.collected_by) - {source_id}
            if member.id in after:
                collected_by.add(source_id)
            tx.put_source(replace(member, collected_by=tuple(sorted(collected_by))))


def take_out(
    tx: Write, flow: Flow, known: dict[str, Flow], *, now: int, principal_name: str, access: Access
) -> list[Flow]:
    """Take a Flow that is about to be removed out of its collectors, and out of `collected_by` of its members.

    Returns the collectors as changed; their metadata changes at `now` (microseconds). The caller has claimed `keys`,
    removes the Flow, and then calls `rederive` for `affected_sources`.

    Raises:
        Forbidden: a collector is read-only. The message has its id only if `access` may read it.
    """
    collectors = [known[flow_id] for flow_id in sorted(flow.collected_by) if flow_id in known]
    for collector in collectors:
        if collector.metadata.get("read_only", False):
            named = access.may("read", document_classes(collector.metadata))
            which = f"Flow {collector.id}" if named else "another Flow"
            raise Forbidden(f"Flow {flow.id} is a member of {which}, which is read-only")
    changed = [
        replace(
            collector,
            metadata={
                **without(collector.metadata, flow.id),
                "metadata_version": new_id(),
                "updated_by": principal_name,
            },
            metadata_updated=collector.next_change(now),
        )
        for collector in collectors
        if flow.id in member_ids(collector.metadata)
    ]
    for collector in changed:
        _store(tx, collector, known)
    _uncollect(tx, flow.id, member_ids(flow.metadata), known)
    return changed


def affected_sources(flow: Flow, known: Mapping[str, Flow]) -> set[str]:
    """Return the Sources whose collections may change when the Flow is removed; none if it is in no collection."""
    if not _neighbours(flow):
        return set()
    return {flow.source_id, *(known[flow_id].source_id for flow_id in flow.collected_by if flow_id in known)}


def refuse_unknown(metadata: Metadata, known: Collection[str]) -> None:
    """Raise `Invalid` if the Flow's metadata collects the Flow itself, or a Flow that is not in `known`."""
    errors: dict[str, list[str]] = {}
    for index, item in enumerate(metadata.get("flow_collection", ())):
        if item["id"] == metadata["id"]:
            errors[f"flow_collection[{index}].id"] = ["a Flow cannot collect itself"]
        elif item["id"] not in known:
            errors[f"flow_collection[{index}].id"] = ["there is no Flow with this id"]
    if errors:
        raise Invalid.fields(errors)


def _neighbours(flow: Flow) -> set[str]:
    """Return the ids of the Flow's collectors and members."""
    return {*flow.collected_by, *member_ids(flow.metadata)}


def _store(tx: Write, flow: Flow, known: dict[str, Flow]) -> None:
    tx.put_flow(flow)
    known[flow.id] = flow


def _uncollect(tx: Write, collector_id: str, member_flow_ids: Iterable[str], known: dict[str, Flow]) -> None:
    for member_id in known.keys() & set(member_flow_ids):
        member = known[member_id]
        collected_by = tuple(flow_id for flow_id in member.collected_by if flow_id != collector_id)
        _store(tx, replace(member, collected_by=collected_by), known)


def _disagreement(read: Read, access: Access, disagreements: Sequence[Disagreement]) -> Invalid:
    """Return the error. A disagreement about Sources that `access` may not read is described without their ids."""
    sentences: list[str] = []
    for sentence, source_ids in disagreements:
        named = not access.is_limited or set(source_ids) <= readable_sources(read, access, source_ids)
        sentences.append(sentence if named else "it contradicts another Flow of the Source in order or roles")
    return Invalid(sentences[0], {"flow_collection": list(dict.fromkeys(sentences))})


def _refuse_cycle(read: Read, flow_id: str, members: Iterable[str], known: Mapping[str, Flow]) -> None:
    """Walk down from the members, level by level, and raise `Invalid` on meeting the Flow itself."""
    visited: set[str] = set()
    level = set(members)
    while level:
        visited |= level
        flows = [known[member_id] for member_id in level & known.keys()]
        if unread := level - known.keys():
            flows += read.flows_by_id(unread).values()
        level = {below for flow in flows for below in member_ids(flow.metadata)} - visited
        if flow_id in level:
            raise Invalid.field("flow_collection", "one of the members collects this Flow, directly or through others")


def _collections_of(read: Read, source_id: str) -> list[list[Member]]:
    """Return the members of each Flow of the Source as Sources, the oldest Flow first, without the Source itself."""
    where = FlowFilter(source_id=source_id)
    flows = all_items(lambda after: read.list_flows(where, order="created", reverse=True, after=after, limit=_PAGE))
    collectors = [flow for flow in flows if flow.metadata.get("flow_collection")]
    collectors.sort(key=lambda flow: (flow.created, flow.id))
    known = read.flows_by_id({member for flow in collectors for member in member_ids(flow.metadata)})
    return [
        [
            Member(known[item["id"]].source_id, item.get("role"))
            for item in flow.metadata["flow_collection"]
            if item["id"] in known and known[item["id"]].source_id != source_id
        ]
        for flow in collectors
    ]
