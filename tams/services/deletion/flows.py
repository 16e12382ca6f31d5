"""Deleting Flows with their Segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tams.domain.access import Access
from tams.domain.deletion import Counts, DeleteRequest, Outcome
from tams.domain.errors import Blockers, Conflict
from tams.domain.flows import Flow
from tams.domain.preconditions import Condition
from tams.domain.principals import Principal
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY
from tams.repository.port import Key, Read, Write
from tams.services.deletion import delete_requests
from tams.services.deletion.deletion import Deletion, outcome, readable_examples
from tams.services.deletion.segment_removal import object_keys
from tams.services.flows import collections, flows, sources
from tams.services.store import Store
from tams.services.unit_of_work import Retry, claim


@dataclass(frozen=True, slots=True)
class DoomedFlows:
    """Flows that are to be deleted. `known` holds these Flows, their collectors and their members, by id."""

    flows: Sequence[Flow]
    known: dict[str, Flow]

    @classmethod
    def of(cls, read: Read, doomed: Sequence[Flow]) -> DoomedFlows:
        """Read the collectors and members of the Flows, and return all of them."""
        return cls(doomed, collections.related(read, doomed))

    @property
    def keys(self) -> set[Key]:
        """The keys to claim, besides those of the Objects of the Segments."""
        return {key for flow in self.flows for key in collections.keys(flow, self.known)}

    def are_few(self, limit: int) -> bool:
        """Return whether the Flows have at most `limit` Segments together: then these go in the same transaction."""
        return sum(flow.count for flow in self.flows) <= limit


def delete_flow(
    store: Store,
    flow_id: str,
    *,
    cascade: bool | None,
    principal: Principal,
    condition: Condition[Flow] | None = None,
) -> Outcome:
    """Delete a Flow and its Segments.

    Raises:
        NotFound: the Flow does not exist, or the principal may not know of it.
        Forbidden: the principal may not delete it, it is read-only, or a read-only Flow collects it.
        PreconditionFailed: the `condition` on the Flow does not hold.
        Conflict: `cascade` is False, and the Flow has Segments or is collected.
    """
    access = store.access(principal)
    limit = store.settings.delete_inline_limit

    def read_doomed(read: Read) -> DoomedFlows:
        return DoomedFlows.of(read, [flows.writable(read, flow_id, access, "delete")])

    def transact(tx: Write) -> Outcome:
        # Find
        candidate = read_doomed(tx)
        segments = find_segments(tx, candidate, limit)
        # Claim
        claimed = claim(tx, keys_of(candidate, segments))
        # Re-read
        doomed = read_doomed(tx)
        claimed.require(doomed.keys)
        # Decide
        if condition is not None:
            condition(doomed.flows[0])
        if cascade is False:
            _refuse_in_use(tx, doomed.flows[0], access)
        # Write
        deletion = Deletion.after(claimed, tx, store, principal)
        return outcome(*drop(deletion, doomed, segments))

    return store.write(transact)


def find_segments(read: Read, doomed: DoomedFlows, limit: int) -> dict[int, list[Segment]]:
    """Return the Segments of the Flows by Flow key if there are at most `limit` of them, else none."""
    if not doomed.are_few(limit):
        return {}
    return {flow.flow_key: read.segments_within(flow.flow_key, ETERNITY, limit) for flow in doomed.flows if flow.count}


def keys_of(doomed: DoomedFlows, segments: Mapping[int, Iterable[Segment]]) -> set[Key]:
    """Return the keys to claim before the Flows are deleted with these Segments."""
    return doomed.keys.union(*(object_keys(segments_of_flow) for segments_of_flow in segments.values()))


def drop(
    deletion: Deletion, doomed: DoomedFlows, segments: Mapping[int, Sequence[Segment]]
) -> tuple[Counts, list[DeleteRequest]]:
    """Remove the Flows, and implicit Sources with their last Flow; return the counts and the requests for the worker.

    The Flows' Segments, found before the claim, are removed at once if they are few, else by the requests.

    Raises:
        NotFound, Forbidden: the principal may not delete one of the Flows, it is read-only, or a read-only Flow
            collects it.
        Retry: Segments were added or removed since they were found.
    """
    tx, known = deletion.tx, doomed.known
    # Checked for every Flow before any of them is changed, so that the error names the first one that is refused.
    for flow in doomed.flows:
        flows.refuse_unwritable(flow, deletion.access, "delete")
    few = doomed.are_few(deletion.limit)
    counts = Counts()
    requests: list[DeleteRequest] = []
    for flow_id in [flow.id for flow in doomed.flows]:
        # If one of the Flows collects another, its value in `known` has changed since it was read.
        flow = known[flow_id]
        source_ids = collections.affected_sources(flow, known)
        collectors = collections.take_out(
            tx, flow, known, now=deletion.now, principal_name=deletion.principal.name, access=deletion.access
        )
        if few:
            counts += _remove_with_segments(deletion, flow, segments.get(flow.flow_key, ()))
        elif not flow.count:
            counts += _remove_with_segments(deletion, flow, ())
        else:
            requests.append(_detach(deletion, flow))
        del known[flow_id]
        source_gone = sources.release(tx, deletion.outbox, flow.source_id, deletion.now)
        counts += Counts(flows=1, sources=int(source_gone))
        collections.rederive(tx, source_ids - {flow.source_id} if source_gone else source_ids)
        for collector in collectors:
            deletion.outbox.flow_updated(collector)
    return counts, requests


def _remove_with_segments(deletion: Deletion, flow: Flow, segments: Sequence[Segment]) -> Counts:
    at = flow.next_change(deletion.now)
    counts = deletion.remove(flow, segments, keep_last=False)
    if counts.segments != flow.count:
        raise Retry
    deletion.outbox.flow_deleted(flow, at)
    deletion.tx.delete_flow(flow.id)
    return counts


def _detach(deletion: Deletion, flow: Flow) -> DeleteRequest:
    """Take the Flow out of every answer; return the request by which the worker removes its Segments."""
    at = flow.next_change(deletion.now)
    deletion.outbox.all_segments_deleted(flow, at)
    deletion.outbox.flow_deleted(flow, at)
    deletion.tx.detach_flow(flow.id)
    request = deletion.request(flow, ETERNITY, flow.extent, delete_flow=True)
    delete_requests.accept(deletion.tx, request)
    return request


def _refuse_in_use(read: Read, flow: Flow, access: Access) -> None:
    """Raise `Conflict` if the Flow has Segments or is collected."""
    if flow.count or flow.collected_by:
        raise Conflict(
            f"Flow {flow.id} has Segments or is collected; cascade=true deletes it all the same",
            Blockers(
                segments=flow.count,
                collections=len(flow.collected_by),
                examples=readable_examples(read, access, flow.collected_by),
            ),
        )
