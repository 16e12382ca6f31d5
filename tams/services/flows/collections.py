"""Which Flow collects which, and what follows from it: `collected_by`, and the collections of Sources.

Every change of a `flow_collection`, and of the Source of a Flow that takes part in one, claims `("collections", "")`:
the graph of collections stands still while one transaction looks at it. What is derived here is never a change of
metadata: neither `metadata_version` nor any time of the members follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from tams.domain.access import Access, document_classes
from tams.domain.collections import Disagreement, Member, derive, member_ids, without
from tams.domain.errors import Forbidden, Invalid
from tams.domain.filters import FlowFilter
from tams.domain.flows import Flow, Metadata
from tams.domain.identifiers import new_id
from tams.repository.port import Key, Read, Write, every
from tams.services.access.authorization import readable_sources

_PAGE = 1000


def claims(read: Read, flow: Flow, members: Iterable[str] = ()) -> list[Key]:
    """What has to be claimed before the Flow's place in collections changes: the collectors, the members (`members` are
    those that it shall have besides), and the Sources of all of them."""
    related = {flow.id, *flow.collected_by, *member_ids(flow.metadata), *members}
    source_ids = {flow.source_id, *(other.source_id for other in read.flows_by_id(related).values())}
    keys: set[Key] = {("collections", "")}
    keys.update(("flow", flow_id) for flow_id in related)
    keys.update(("source", source_id) for source_id in source_ids)
    return sorted(keys)


def changes(stored: Flow | None, document: Metadata) -> bool:
    """Whether replacing `stored` by `document` changes any collection, its own or that of a Source."""
    if stored is None:
        return bool(document.get("flow_collection"))
    if stored.metadata.get("flow_collection", []) != document.get("flow_collection", []):
        return True
    in_collections = bool(stored.collected_by or stored.metadata.get("flow_collection"))
    return in_collections and stored.source_id != document["source_id"]


def put_flow(tx: Write, stored: Flow | None, flow: Flow, access: Access) -> None:
    """Store the Flow in place of `stored`, and what its collection brings with it.

    The caller has claimed `claims` where `changes` says so, and the Flow's Source exists. `Invalid` for an unknown
    member, a cycle, and where the Flows of a Source would disagree about order or roles; it names no Source that
    `access` does not let be read.
    """
    if not changes(stored, flow.metadata):
        tx.put_flow(flow)
        return
    members = member_ids(flow.metadata)
    refuse_unknown(flow.metadata, tx.flows_by_id(members))
    _refuse_cycle(tx, flow.id, members)
    tx.put_flow(flow)
    before = member_ids(stored.metadata) if stored is not None else ()
    _uncollect(tx, flow.id, set(before) - set(members))
    for member in tx.flows_by_id(set(members) - set(before)).values():
        tx.put_flow(replace(member, collected_by=tuple(sorted({*member.collected_by, flow.id}))))
    collectors = tx.flows_by_id(flow.collected_by).values()
    if stored is not None and stored.source_id != flow.source_id:
        rederive(tx, {stored.source_id})
    rederive(tx, {flow.source_id, *(collector.source_id for collector in collectors)}, refuse_disagreement=access)


def rederive(tx: Write, source_ids: Collection[str], *, refuse_disagreement: Access | None = None) -> None:
    """Recompute the collections of these Sources from their Flows, and store what changed, `collected_by` included.

    Sources that are gone are passed over. With `refuse_disagreement` (what may be named) it is `Invalid` where the
    Flows of a Source disagree; without it the older Flow wins.
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


def take_out(tx: Write, flow: Flow, now: int, principal_name: str, access: Access) -> list[Flow]:
    """Take a Flow that is about to vanish out of each collector, and out of its members' `collected_by`.

    Returns the collectors as changed: their metadata is new (`now` in microseconds). `Forbidden` where one of them is
    read-only, without its id where `access` does not let it be read. The caller has claimed `claims`, removes the Flow,
    and then has its Sources rederived.
    """
    collectors = tx.flows_by_id(flow.collected_by)
    for collector in collectors.values():
        if collector.metadata.get("read_only", False):
            seen = access.may("read", document_classes(collector.metadata))
            which = f"Flow {collector.id}, which" if seen else "another Flow, which"
            raise Forbidden(f"Flow {flow.id} is a member of {which} is read-only")
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
        for _, collector in sorted(collectors.items())
        if flow.id in member_ids(collector.metadata)
    ]
    for collector in changed:
        tx.put_flow(collector)
    _uncollect(tx, flow.id, member_ids(flow.metadata))
    return changed


def _uncollect(tx: Write, collector_id: str, member_flow_ids: Collection[str]) -> None:
    for member in tx.flows_by_id(member_flow_ids).values():
        tx.put_flow(replace(member, collected_by=tuple(item for item in member.collected_by if item != collector_id)))


def refuse_unknown(document: Metadata, known: Collection[str]) -> None:
    """`Invalid` where a Flow's document collects what is not in `known`, or the Flow itself."""
    errors: dict[str, list[str]] = {}
    for index, item in enumerate(document.get("flow_collection", ())):
        if item["id"] == document["id"]:
            errors[f"flow_collection[{index}].id"] = ["a Flow cannot collect itself"]
        elif item["id"] not in known:
            errors[f"flow_collection[{index}].id"] = ["there is no Flow with this id"]
    if errors:
        raise Invalid.fields(errors)


def _disagreement(read: Read, access: Access, disagreements: Sequence[Disagreement]) -> Invalid:
    """The refusal; of what it does not name it only tells that there is something."""
    told: list[str] = []
    for sentence, source_ids in disagreements:
        seen = not access.is_limited or set(source_ids) <= readable_sources(read, access, source_ids)
        told.append(sentence if seen else "it contradicts another Flow of the Source in order or roles")
    return Invalid(told[0], {"flow_collection": list(dict.fromkeys(told))})


def _refuse_cycle(read: Read, flow_id: str, members: Iterable[str]) -> None:
    """Walk down from the members, level by level: the Flow itself must not be met."""
    seen: set[str] = set()
    level = set(members)
    while level:
        seen |= level
        level = {below for member in read.flows_by_id(level).values() for below in member_ids(member.metadata)} - seen
        if flow_id in level:
            raise Invalid.field("flow_collection", "one of the members collects this Flow, directly or through others")


def _collections_of(read: Read, source_id: str) -> list[list[Member]]:
    """What each Flow of the Source collects as Sources, the oldest Flow first, without the Source itself."""
    where = FlowFilter(source_id=source_id)
    found = every(lambda after: read.list_flows(where, order="created", reverse=True, after=after, limit=_PAGE))
    collectors = [flow for flow in found if flow.metadata.get("flow_collection")]
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
