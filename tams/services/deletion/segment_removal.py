"""Taking Segments out of a Flow, and the Objects that nothing needs any more with them, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from tams.domain.errors import Blockers, Conflict
from tams.domain.segments import Segment, object_ids
from tams.domain.timerange import TimeRange
from tams.repository.port import Key, Read, Write
from tams.services.objects.byte_deletion import collect_unreferenced
from tams.services.outbox import Outbox
from tams.services.store import Retry

EXAMPLES = 10
"""At most so many ids are shown of what blocks a deletion."""


class LastReference(Conflict):
    """A deletion with `cascade=false` would drop an Object's last reference."""

    def without_examples(self) -> LastReference:
        """The same for whoever may not read what it is about."""
        return LastReference(str(self), None if self.blocked_by is None else replace(self.blocked_by, examples=()))


@dataclass(frozen=True, slots=True)
class Removed:
    """A batch that was removed: its Segments, how many Objects went with them, and whether Segments are left."""

    segments: Sequence[Segment]
    objects: int
    more: bool


def object_keys(segments: Iterable[Segment]) -> list[Key]:
    """What removing the Segments has to claim besides their Flow."""
    return [("object", object_id) for object_id in object_ids(segments)]


def remove(
    tx: Write, flow_key: int, segments: Sequence[Segment], claimed: set[str], at: int, now: int, *, keep_last: bool
) -> tuple[list[Segment], int]:
    """Remove the Segments, and collect the Objects that nothing needs any more.

    `claimed` are the ids of the Objects that this transaction has claimed. Returns the Segments removed and the number
    of Objects gone. `Retry` where a Segment uses an Object outside `claimed`; `LastReference` where `keep_last`
    forbids it.
    """
    needed = object_ids(segments)
    if not needed <= claimed:
        raise Retry
    removed = tx.remove_segments(flow_key, segments, at)
    if keep_last:
        lost = sorted(needed - tx.still_referenced(needed))
        if lost:
            raise LastReference(
                f"{len(lost)} object(s) would lose their last reference; cascade=true deletes them as well",
                Blockers(objects=len(lost), examples=tuple(lost[:EXAMPLES])),
            )
    return removed, len(collect_unreferenced(tx, {segment.object_id for segment in removed}, now))


def remove_batch(
    tx: Write,
    flow_id: str,
    flow_key: int,
    within: TimeRange,
    limit: int,
    now: int,
    *,
    object_id: str | None = None,
    init_object_id: str | None = None,
    registered_before: int | None = None,
    keep_last: bool = False,
    also_claim: Sequence[Key] = (),
) -> Removed:
    """Claim, then remove the first `limit` Segments in time order that the filters leave (`Read.segments_within`).

    That Segments are gone is told only of a Flow that is there: with the Flow's own deletion all of them went. Where
    others took some of them before they were claimed, only those are removed that were claimed: maybe none of `more`.
    """

    def find(read: Read) -> list[Segment]:
        return read.segments_within(
            flow_key,
            within,
            limit + 1,
            object_id=object_id,
            init_object_id=init_object_id,
            registered_before=registered_before,
        )

    candidates = find(tx)[:limit]
    tx.claim(("flow", flow_id), *also_claim, *object_keys(candidates))
    found = find(tx)
    claimed = object_ids(candidates)
    ours = list(takewhile(lambda segment: object_ids([segment]) <= claimed, found[:limit]))
    if not ours:
        return Removed((), 0, more=bool(found))
    flow = tx.flow(flow_id)
    if flow is not None and flow.flow_key != flow_key:
        flow = None
    at = now if flow is None else flow.next_change(now)
    removed, gone = remove(tx, flow_key, ours, claimed, at, now, keep_last=keep_last)
    if flow is not None:
        Outbox(tx).segments_deleted(flow, removed, at)
    return Removed(removed, gone, more=len(found) > len(ours))
