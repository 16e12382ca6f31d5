"""Deleting Segments of a Flow."""

from __future__ import annotations

from tams.domain.deletion import Accepted, Deleted, Outcome
from tams.domain.principals import Principal
from tams.domain.timerange import TimeRange
from tams.repository.port import Write
from tams.services.deletion import delete_requests
from tams.services.deletion.deletion import Deletion
from tams.services.deletion.segment_removal import object_keys
from tams.services.flows import flows
from tams.services.store import Store
from tams.services.unit_of_work import claim


def delete_segments(
    store: Store,
    flow_id: str,
    *,
    within: TimeRange,
    object_id: str | None,
    cascade: bool | None,
    principal: Principal,
) -> Outcome:
    """Delete the Segments that lie wholly inside `within`, or only those of the Object if `object_id` is given.

    Raises:
        NotFound: the Flow does not exist, or the principal may not know of it.
        Forbidden: the principal may not delete from the Flow, or it is read-only.
        Conflict: `cascade` is False, and an Object would lose its last reference.
    """
    access = store.access(principal)
    limit = store.settings.delete_inline_limit
    keep_last = cascade is False

    def transact(tx: Write) -> Outcome:
        # Find
        flow = flows.writable(tx, flow_id, access, "delete")
        candidates = tx.segments_within(flow.flow_key, within, limit, object_id=object_id)
        # Claim
        claimed = claim(tx, {("flow", flow_id), *object_keys(candidates)})
        # Re-read
        flow = flows.writable(tx, flow_id, access, "delete")
        segments = tx.segments_within(flow.flow_key, within, limit + 1, object_id=object_id)
        # Decide and write
        deletion = Deletion.after(claimed, tx, store, principal)
        counts = deletion.remove(flow, segments[:limit], keep_last=keep_last)
        if len(segments) <= limit:
            return Deleted(counts)
        # This transaction has removed the first batch, and so moved the Flow's `segments_updated`: every Segment that
        # is registered from here on is younger than the request, which spares it.
        extent = tx.extent(flow.flow_key, within)
        request = deletion.request(flow, within, extent, keep_last=keep_last, object_id=object_id)
        delete_requests.accept(tx, request)
        return Accepted((request,))

    return store.write(transact)
