"""Deleting Objects, with the Segments that refer to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tams.domain.access import Access
from tams.domain.deletion import Counts, Deleted, DeleteRequest, Outcome
from tams.domain.errors import Blockers, Conflict
from tams.domain.flows import Flow
from tams.domain.objects import Object
from tams.domain.principals import Principal
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY, TimeRange
from tams.repository.port import Key, Read, Write, pages
from tams.services.deletion import delete_requests
from tams.services.deletion.deletion import COUNT_CAP, PAGE, Deletion, outcome
from tams.services.deletion.segment_removal import EXAMPLES, object_keys
from tams.services.flows import flows
from tams.services.objects import objects
from tams.services.objects.byte_deletion import forget_objects
from tams.services.store import Store
from tams.services.unit_of_work import Retry, claim


class _Use(NamedTuple):
    """A Flow that uses the Object, with the Segments to remove at once."""

    flow: Flow
    segments: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class _DoomedObject:
    """An Object that is to be deleted, and with `cascade` its uses."""

    item: Object
    uses: Sequence[_Use]

    @property
    def flow_keys(self) -> list[int]:
        return [use.flow.flow_key for use in self.uses]

    @property
    def keys(self) -> set[Key]:
        return {
            ("object", self.item.id),
            *(("flow", use.flow.id) for use in self.uses),
            *object_keys(segment for use in self.uses for segment in use.segments),
        }


def delete_object(store: Store, object_id: str, *, cascade: bool | None, principal: Principal) -> Outcome:
    """Delete an Object: one that was never registered at once, a registered one with the Segments that refer to it.

    Raises:
        NotFound: the Object does not exist, or the principal may not know of it.
        Forbidden: the principal may not delete from every Flow that uses the Object, or one of these is read-only.
        Conflict: `cascade` is not True, and the Object is registered.
    """
    access = store.access(principal)
    limit = store.settings.delete_inline_limit

    def read_doomed(read: Read) -> _DoomedObject:
        item = objects.deletable(read, object_id, access)
        return _DoomedObject(item, _uses(read, item, limit) if cascade and item.kind is not None else ())

    def transact(tx: Write) -> Outcome:
        # Find
        candidate = read_doomed(tx)
        # Claim
        claimed = claim(tx, candidate.keys)
        # Re-read
        doomed = read_doomed(tx)
        if doomed.flow_keys != candidate.flow_keys:
            raise Retry
        # Decide
        item = doomed.item
        if item.kind is not None and not cascade:
            raise _in_use(tx, object_id, access)
        for use in doomed.uses:
            flows.refuse_unwritable(use.flow, access, "delete")
        # Write
        deletion = Deletion.after(claimed, tx, store, principal)
        if item.kind is None:
            forget_objects(tx, [item], deletion.now)
            return Deleted(Counts(objects=1))
        return _drop_uses(deletion, doomed)

    return store.write(transact)


def _drop_uses(deletion: Deletion, doomed: _DoomedObject) -> Outcome:
    """Remove the Segments that were read, and leave those beyond the limit to one request for each Flow."""
    tx = deletion.tx
    media_id, init_id = _ids(doomed.item)
    counts = Counts()
    requests: list[DeleteRequest] = []
    for flow, segments in doomed.uses:
        counts += deletion.remove(flow, segments, keep_last=False)
        rest = tx.segments_within(flow.flow_key, ETERNITY, 1, object_id=media_id, init_object_id=init_id)
        if rest:
            extent = tx.extent(flow.flow_key, TimeRange(rest[0].start, None))
            request = deletion.request(flow, ETERNITY, extent, object_id=media_id, init_object_id=init_id)
            delete_requests.accept(tx, request)
            requests.append(request)
    return outcome(counts, requests)


def _uses(read: Read, item: Object, limit: int) -> list[_Use]:
    """Return the uses of the Object: `limit` Segments in all, but at least one of each Flow.

    At least one, because its removal moves the Flow's `segments_updated`, and so separates the Segments that the
    request is for from those that are registered later.
    """
    media_id, init_id = _ids(item)
    uses: list[_Use] = []
    left = limit
    for flow_ids in pages(lambda after: read.references(item.id, after=after, limit=PAGE)):
        known = read.flows_by_id(flow_ids)
        for flow in (known[flow_id] for flow_id in flow_ids):
            segments = read.segments_within(
                flow.flow_key, ETERNITY, max(left, 1), object_id=media_id, init_object_id=init_id
            )
            left -= len(segments)
            uses.append(_Use(flow, segments))
    return uses


def _ids(item: Object) -> tuple[str | None, str | None]:
    """Return the Object's id as Segments refer to it: (as media, as initialisation data of their media)."""
    return (None, item.id) if item.kind == "init" else (item.id, None)


def _in_use(read: Read, object_id: str, access: Access) -> Conflict:
    examples = read.references(object_id, flow_tags=access.readable(), limit=EXAMPLES).items
    return Conflict(
        f"Object {object_id} is in use; cascade=true deletes the Segments that use it as well",
        Blockers(
            flows=len(read.references(object_id, limit=PAGE).items),
            segments=read.count_up_to("segments of object", object_id, COUNT_CAP),
            objects=read.count_up_to("objects of init", object_id, COUNT_CAP),
            examples=tuple(examples),
        ),
    )
