"""Deleting Flows, Segments, Sources and Objects without ever leaving an orphan or losing a reference.

Every function takes `cascade` as the client gave it: None (as the specification says), False (refuse with 409 where
something else would be lost) or True (delete what depends on it, and say what went). More Segments than
`settings.delete_inline_limit` are left to the worker: the answer is then `Accepted`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tams.domain.access import Access, document_classes
from tams.domain.deletion import Accepted, Counts, Deleted, DeleteRequest, Outcome
from tams.domain.errors import Blockers, Conflict
from tams.domain.filters import FlowFilter
from tams.domain.flows import Flow, Source
from tams.domain.identifiers import new_id
from tams.domain.objects import Object
from tams.domain.principals import Principal
from tams.domain.segments import Segment, object_ids
from tams.domain.timerange import ETERNITY, NEVER, TimeRange
from tams.repository.port import Key, Read, Write, every, pages
from tams.services.access.authorization import lacking, readable_flows, readable_sources
from tams.services.deletion import delete_requests
from tams.services.deletion.segment_removal import EXAMPLES, LastReference, object_keys, remove
from tams.services.flows import collections, flows, sources
from tams.services.objects import objects
from tams.services.objects.byte_deletion import forget_objects
from tams.services.outbox import Outbox
from tams.services.store import Retry, Store

_COUNT_CAP = 10_000
"""What blocks a deletion is counted up to here: the answer says "many", at a bounded cost."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Deletion:
    """One deletion: the store, who asks for it, the moment (microseconds) at which it is made, and its events."""

    store: Store
    principal: Principal
    access: Access
    now: int
    outbox: Outbox

    @property
    def limit(self) -> int:
        """The most Segments that one request removes itself."""
        return self.store.settings.delete_inline_limit

    def request(
        self,
        flow: Flow,
        within: TimeRange,
        extent: TimeRange | None,
        *,
        delete_flow: bool = False,
        keep_last: bool = False,
        object_id: str | None = None,
        init_object_id: str | None = None,
    ) -> DeleteRequest:
        """A request for what is left of `within`; what is registered from now on is not touched."""
        span = _bounded(within, extent)
        return DeleteRequest(
            id=new_id(),
            flow_id=flow.id,
            flow_key=flow.flow_key,
            timerange=span,
            remaining=span,
            delete_flow=delete_flow,
            keep_last=keep_last,
            before=flow.next_change(self.now),
            created=self.now,
            created_by=self.principal.name,
            updated=self.now,
            object_id=object_id,
            init_object_id=init_object_id,
            classes=document_classes(flow.metadata),
        )


def delete_flow(store: Store, flow_id: str, cascade: bool | None, principal: Principal) -> Outcome:
    """Delete a Flow and its Segments.

    `NotFound`; `Forbidden` for a read-only Flow or where a read-only Flow collects it; with `cascade=False` `Conflict`
    while it has Segments or is collected.
    """
    access = store.access(principal)

    def transact(tx: Write) -> Outcome:
        flow = flows.writable(tx, flow_id, access, "delete")
        segments = _all_segments(tx, flow, store.settings.delete_inline_limit)
        claimed = _claim(tx, [flow], segments)
        deletion = _deletion(store, principal, tx)
        flow = flows.writable(tx, flow_id, access, "delete")
        if cascade is False and (flow.count or flow.collected_by):
            raise Conflict(
                f"Flow {flow_id} has Segments or is collected; cascade=true deletes it all the same",
                Blockers(
                    segments=flow.count,
                    collections=len(flow.collected_by),
                    examples=_shown_flows(tx, access, flow.collected_by),
                ),
            )
        return _outcome(*_drop_flows(deletion, tx, [flow], claimed))

    return store.write(transact)


def delete_segments(
    store: Store,
    flow_id: str,
    within: TimeRange,
    object_id: str | None,
    cascade: bool | None,
    principal: Principal,
) -> Outcome:
    """Delete the Segments that lie wholly inside the range (of one Object if given).

    `NotFound`; `Forbidden` for a read-only Flow; with `cascade=False` `Conflict` where an Object would lose its last
    reference.
    """
    access = store.access(principal)

    def transact(tx: Write) -> Outcome:
        flow = flows.writable(tx, flow_id, access, "delete")
        candidates = tx.segments_within(flow.flow_key, within, store.settings.delete_inline_limit, object_id=object_id)
        tx.claim(("flow", flow_id), *object_keys(candidates))
        deletion = _deletion(store, principal, tx)
        flow = flows.writable(tx, flow_id, access, "delete")
        found = tx.segments_within(flow.flow_key, within, deletion.limit + 1, object_id=object_id)
        counts = _remove(
            deletion, tx, flow, found[: deletion.limit], object_ids(candidates), keep_last=cascade is False
        )
        if len(found) <= deletion.limit:
            return Deleted(counts)
        # The first batch went with this transaction, which moved the Flow's `segments_updated`: whatever is registered
        # from here on is younger than the request.
        request = deletion.request(
            flow, within, tx.extent(flow.flow_key, within), keep_last=cascade is False, object_id=object_id
        )
        delete_requests.accept(tx, request)
        return Accepted((request,))

    return store.write(transact)


def delete_source(store: Store, source_id: str, cascade: bool | None, principal: Principal) -> Outcome:
    """Delete a Source; with `cascade=True` all its Flows and their Segments with it.

    `NotFound`; without cascade `Conflict` while it has Flows or is collected; `Forbidden` where a read-only Flow
    would go, or one that the principal may not delete.
    """
    access = store.access(principal)

    def transact(tx: Write) -> Outcome:
        sources.permitted(tx, source_id, access, "delete")
        members = _flows_of(tx, source_id) if cascade else []
        limit = store.settings.delete_inline_limit
        few = sum(flow.count for flow in members) <= limit
        segments = [segment for flow in members if few for segment in _all_segments(tx, flow, limit)]
        claimed = _claim(tx, members, segments, ("source", source_id))
        deletion = _deletion(store, principal, tx)
        source = sources.permitted(tx, source_id, access, "delete")
        if not cascade:
            _refuse_source_in_use(tx, source, access)
            tx.delete_source(source_id)
            deletion.outbox.source_deleted(source, deletion.now)
            return Deleted(Counts(sources=1))
        current = _flows_of(tx, source_id)
        if {flow.flow_key for flow in current} != {flow.flow_key for flow in members}:
            raise Retry
        _refuse_undeletable(access, current, "Flows of this Source")
        counts, requests = _drop_flows(deletion, tx, current, claimed)
        if tx.source(source_id) is not None:
            tx.delete_source(source_id)
            deletion.outbox.source_deleted(source, deletion.now)
            counts += Counts(sources=1)
        return _outcome(counts, requests)

    return store.write(transact)


def delete_object(store: Store, object_id: str, cascade: bool | None, principal: Principal) -> Outcome:
    """Delete an Object: storage that was never registered is given back; a registered one goes with its Segments.

    `NotFound`; `Forbidden` unless the principal may delete from every Flow that uses it, and where a read-only Flow
    would lose a Segment; without cascade `Conflict` while it is registered.
    """
    access = store.access(principal)

    def transact(tx: Write) -> Outcome:
        item = objects.deletable(tx, object_id, access)
        users = _users(tx, object_id, item, store.settings.delete_inline_limit) if cascade else []
        candidates = [segment for _, segments in users for segment in segments]
        tx.claim(("object", object_id), *[("flow", flow.id) for flow, _ in users], *object_keys(candidates))
        deletion = _deletion(store, principal, tx)
        item = objects.deletable(tx, object_id, access)
        if item.kind is None:
            forget_objects(tx, [item], deletion.now)
            return Deleted(Counts(objects=1))
        if not cascade:
            raise Conflict(
                f"Object {object_id} is in use; cascade=true deletes the Segments that use it as well",
                _users_blocking(tx, object_id, access),
            )
        current = _users(tx, object_id, item, deletion.limit)
        if [flow.flow_key for flow, _ in current] != [flow.flow_key for flow, _ in users]:
            raise Retry
        claimed = object_ids(candidates) | {object_id}
        return _drop_uses(deletion, tx, item, current, claimed)

    return store.write(transact)


def _deletion(store: Store, principal: Principal, tx: Write) -> _Deletion:
    """To be called once everything is claimed, so that the deletion is later than what the claim had to wait for."""
    return _Deletion(store, principal, store.access(principal), store.now(), Outbox(tx))


def _drop_flows(
    deletion: _Deletion, tx: Write, doomed: Sequence[Flow], claimed: set[Key]
) -> tuple[Counts, list[DeleteRequest]]:
    """Take claimed Flows out of the store; their Segments go now, or where they are many by requests."""
    objects_claimed = {key_id for kind, key_id in claimed if kind == "object"}
    few = sum(flow.count for flow in doomed) <= deletion.limit
    counts = Counts()
    requests: list[DeleteRequest] = []
    # Checked for every Flow before any is touched, so that a refusal names the first one that stands in the way.
    for flow in doomed:
        flows.writable(tx, flow.id, deletion.access, "delete")
    for flow_id in [flow.id for flow in doomed]:
        # Read anew: where one of them collects another, the step before has changed it.
        flow = flows.writable(tx, flow_id, deletion.access, "delete")
        needed = collections.claims(tx, flow)
        if not set(needed) <= claimed:
            raise Retry
        collectors = collections.take_out(tx, flow, deletion.now, deletion.principal.name, deletion.access)
        at = flow.next_change(deletion.now)
        if few or not flow.count:
            segments = tx.segments_within(flow.flow_key, ETERNITY, deletion.limit + 1)
            counts += _remove(deletion, tx, flow, segments, objects_claimed, keep_last=False)
            deletion.outbox.flow_deleted(flow, at)
            tx.delete_flow(flow.id)
        else:
            deletion.outbox.all_segments_deleted(flow, at)
            deletion.outbox.flow_deleted(flow, at)
            tx.detach_flow(flow.id)
            request = deletion.request(flow, ETERNITY, flow.extent, delete_flow=True)
            delete_requests.accept(tx, request)
            requests.append(request)
        source_gone = sources.release(tx, deletion.outbox, flow.source_id, deletion.now)
        counts += Counts(flows=1, sources=int(source_gone))
        collections.rederive(tx, {key_id for kind, key_id in needed if kind == "source"})
        for collector in collectors:
            deletion.outbox.flow_updated(collector)
    return counts, requests


def _drop_uses(
    deletion: _Deletion, tx: Write, item: Object, users: list[tuple[Flow, list[Segment]]], claimed: set[str]
) -> Outcome:
    """Remove the Segments found, and leave what is beyond the limit to one request per Flow."""
    media_id, init_id = _ids(item)
    counts = Counts()
    requests: list[DeleteRequest] = []
    for flow, _ in users:
        flows.writable(tx, flow.id, deletion.access, "delete")
    for flow, segments in users:
        counts += _remove(deletion, tx, flow, segments, claimed, keep_last=False)
        left = tx.segments_within(flow.flow_key, ETERNITY, 1, object_id=media_id, init_object_id=init_id)
        if left:
            extent = tx.extent(flow.flow_key, TimeRange(left[0].start, None))
            request = deletion.request(flow, ETERNITY, extent, object_id=media_id, init_object_id=init_id)
            delete_requests.accept(tx, request)
            requests.append(request)
    return _outcome(counts, requests)


def _remove(
    deletion: _Deletion, tx: Write, flow: Flow, segments: Sequence[Segment], claimed: set[str], *, keep_last: bool
) -> Counts:
    if not segments:
        return Counts()
    at = flow.next_change(deletion.now)
    try:
        removed, gone = remove(tx, flow.flow_key, segments, claimed, at, deletion.now, keep_last=keep_last)
    except LastReference as refusal:
        if deletion.access.may("read", document_classes(flow.metadata)):
            raise
        raise refusal.without_examples() from refusal
    deletion.outbox.segments_deleted(flow, removed, at)
    return Counts(segments=len(removed), objects=gone)


def _claim(tx: Write, doomed: Iterable[Flow], segments: Iterable[Segment], *more: Key) -> set[Key]:
    """Claim everything that the deletion of these Flows and Segments rests on."""
    keys: set[Key] = set(more)
    for flow in doomed:
        keys |= {("flow", flow.id), ("source", flow.source_id), *collections.claims(tx, flow)}
    keys.update(object_keys(segments))
    tx.claim(*sorted(keys))
    return keys


def _all_segments(read: Read, flow: Flow, limit: int) -> list[Segment]:
    """All Segments of a Flow that is small enough to go at once; none of a larger one."""
    return read.segments_within(flow.flow_key, ETERNITY, limit) if flow.count <= limit else []


def _flows_of(read: Read, source_id: str) -> list[Flow]:
    where = FlowFilter(source_id=source_id)
    return list(every(lambda after: read.list_flows(where, order="created", reverse=False, after=after, limit=_PAGE)))


def _refuse_undeletable(access: Access, doomed: Iterable[Flow], what: str) -> None:
    lacked = sum(not access.may("delete", document_classes(flow.metadata)) for flow in doomed)
    if lacked:
        raise lacking("delete", f"{lacked} {what}")


def _shown_flows(read: Read, access: Access, flow_ids: Sequence[str]) -> tuple[str, ...]:
    """Examples of what is in the way: those that may be named."""
    shown = readable_flows(read, access, flow_ids) if access.is_limited else flow_ids
    return tuple(flow_id for flow_id in flow_ids if flow_id in shown)[:EXAMPLES]


def _refuse_source_in_use(read: Read, source: Source, access: Access) -> None:
    count = read.count_up_to("flows of source", source.id, _COUNT_CAP)
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


def _users(read: Read, object_id: str, item: Object, limit: int) -> list[tuple[Flow, list[Segment]]]:
    """Each Flow that uses the Object with the Segments to remove at once: `limit` in all, but one of each at least.

    One at least, because removing it moves the Flow's `segments_updated`, and so fences the request for the rest
    against what is registered later.
    """
    media_id, init_id = _ids(item)
    users: list[tuple[Flow, list[Segment]]] = []
    left = limit
    for flow_ids in pages(lambda after: read.references(object_id, after=after, limit=_PAGE)):
        known = read.flows_by_id(flow_ids)
        for flow_id in flow_ids:
            flow = known[flow_id]
            segments = read.segments_within(
                flow.flow_key, ETERNITY, max(left, 1), object_id=media_id, init_object_id=init_id
            )
            left -= len(segments)
            users.append((flow, segments))
    return users


def _ids(item: Object) -> tuple[str | None, str | None]:
    """The Object's id as Segments refer to it: as media, or as what initialises their media."""
    return (None, item.id) if item.kind == "init" else (item.id, None)


def _users_blocking(read: Read, object_id: str, access: Access) -> Blockers:
    examples = read.references(object_id, flow_tags=access.readable(), limit=EXAMPLES).items
    return Blockers(
        flows=len(read.references(object_id, limit=_PAGE).items),
        segments=read.count_up_to("segments of object", object_id, _COUNT_CAP),
        objects=read.count_up_to("objects of init", object_id, _COUNT_CAP),
        examples=tuple(examples),
    )


def _bounded(within: TimeRange, extent: TimeRange | None) -> TimeRange:
    """`within` as it is, with the extent of the Segments in place of an open end."""
    if extent is None:
        return NEVER
    start = extent.start if within.start is None else within.start
    if within.end is None:
        return TimeRange(start, extent.end, extent.closed)
    return TimeRange(start, within.end, within.closed)


def _outcome(counts: Counts, requests: list[DeleteRequest]) -> Outcome:
    return Accepted(tuple(requests)) if requests else Deleted(counts)
