"""Deleting Sources, alone or with their Flows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tams.domain.access import Access, document_classes
from tams.domain.deletion import Counts, Outcome
from tams.domain.errors import Blockers, Conflict
from tams.domain.filters import FlowFilter
from tams.domain.flows import Flow, Source
from tams.domain.preconditions import Condition
from tams.domain.principals import Principal
from tams.repository.port import Key, Read, Write, all_items
from tams.services.access.authorization import missing_permission, readable_sources
from tams.services.deletion.deletion import COUNT_CAP, PAGE, Deletion, outcome
from tams.services.deletion.flows import DoomedFlows, drop, find_segments, keys_of
from tams.services.deletion.segment_removal import EXAMPLES
from tams.services.flows import sources
from tams.services.store import Store
from tams.services.unit_of_work import Retry, claim


@dataclass(frozen=True, slots=True)
class _DoomedSource:
    """A Source that is to be deleted, and with `cascade` its Flows."""

    source: Source
    flows: DoomedFlows

    @property
    def flow_keys(self) -> set[int]:
        return {flow.flow_key for flow in self.flows.flows}

    @property
    def keys(self) -> set[Key]:
        return {("source", self.source.id), *self.flows.keys}


def delete_source(
    store: Store,
    source_id: str,
    *,
    cascade: bool | None,
    principal: Principal,
    condition: Condition[Source] | None = None,
) -> Outcome:
    """Delete a Source; if `cascade` is True, all its Flows and their Segments with it.

    Raises:
        NotFound: the Source does not exist, or the principal may not know of it.
        Forbidden: the principal may not delete the Source or one of its Flows, or a Flow is read-only.
        PreconditionFailed: the `condition` on the Source does not hold.
        Conflict: `cascade` is not True, and the Source has Flows or is collected.
    """
    access = store.access(principal)
    limit = store.settings.delete_inline_limit

    def read_doomed(read: Read) -> _DoomedSource:
        source = sources.permitted(read, source_id, access, "delete")
        return _DoomedSource(source, DoomedFlows.of(read, _flows_of(read, source_id) if cascade else []))

    def transact(tx: Write) -> Outcome:
        # Find
        candidate = read_doomed(tx)
        segments = find_segments(tx, candidate.flows, limit)
        # Claim
        claimed = claim(tx, candidate.keys | keys_of(candidate.flows, segments))
        # Re-read
        doomed = read_doomed(tx)
        claimed.require(doomed.keys)
        if doomed.flow_keys != candidate.flow_keys:
            raise Retry
        # Decide
        source = doomed.source
        if condition is not None:
            condition(source)
        if not cascade:
            _refuse_in_use(tx, source, access)
        _refuse_undeletable(access, doomed.flows.flows)
        # Write
        deletion = Deletion.after(claimed, tx, store, principal)
        counts, requests = drop(deletion, doomed.flows, segments)
        if not counts.sources:
            tx.delete_source(source_id)
            deletion.outbox.source_deleted(source, deletion.now)
            counts += Counts(sources=1)
        return outcome(counts, requests)

    return store.write(transact)


def _flows_of(read: Read, source_id: str) -> list[Flow]:
    where = FlowFilter(source_id=source_id)
    return list(
        all_items(lambda after: read.list_flows(where, order="created", reverse=False, after=after, limit=PAGE))
    )


def _refuse_undeletable(access: Access, flows: Iterable[Flow]) -> None:
    """Raise `Forbidden` if the principal may not delete all of the Flows."""
    count = sum(not access.may("delete", document_classes(flow.metadata)) for flow in flows)
    if count:
        raise missing_permission("delete", f"{count} Flows of this Source")


def _refuse_in_use(read: Read, source: Source, access: Access) -> None:
    """Raise `Conflict` if the Source has Flows or is collected."""
    count = read.count_up_to("flows of source", source.id, COUNT_CAP)
    if not count and not source.collected_by:
        return
    where = FlowFilter(source_id=source.id, tags=access.readable())
    examples = read.list_flows(where, order="created", reverse=False, after=None, limit=EXAMPLES).items
    collectors: Collection[str] = source.collected_by
    if access.is_limited and collectors:
        collectors = sorted(readable_sources(read, access, collectors))
    raise Conflict(
        f"Source {source.id} has Flows or is collected; cascade=true deletes its Flows as well",
        Blockers(
            flows=count,
            collections=len(source.collected_by),
            examples=tuple(flow.id for flow in examples) or tuple(collectors)[:EXAMPLES],
        ),
    )
