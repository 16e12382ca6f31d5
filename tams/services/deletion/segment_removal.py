"""Removing Segments from a Flow, and with them the Objects that nothing refers to any more, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tams.domain.errors import Blockers, Conflict
from tams.domain.segments import Segment, object_ids
from tams.repository.port import Key, Write
from tams.services.objects.byte_deletion import collect_unreferenced
from tams.services.unit_of_work import Claim

EXAMPLES = 10
"""The largest number of ids that an error shows of what blocks a deletion."""


class LastReference(Conflict):
    """A deletion with `cascade=false` would remove an Object's last reference."""

    def without_examples(self) -> LastReference:
        """Return the error for a principal who may not read the Flow: without ids of Objects."""
        return LastReference(str(self), None if self.blocked_by is None else replace(self.blocked_by, examples=()))


@dataclass(frozen=True, slots=True)
class Removal:
    """The Segments that were removed, and the number of Objects that were removed with them."""

    segments: Sequence[Segment]
    objects: int


def object_keys(segments: Iterable[Segment]) -> set[Key]:
    """Return the keys to claim, besides that of their Flow, before the Segments are removed."""
    return {("object", object_id) for object_id in object_ids(segments)}


def remove(
    tx: Write, flow_key: int, segments: Sequence[Segment], *, claim: Claim, at: int, now: int, keep_last: bool
) -> Removal:
    """Remove those of the Segments that are still stored unchanged, and the Objects that nothing refers to any more.

    The caller has claimed the Flow. `at` becomes the Flow's `segments_updated`; both times are in microseconds.

    Raises:
        Retry: a Segment refers to an Object that was not claimed.
        LastReference: `keep_last` is set, and an Object would lose its last reference.
    """
    claim.require(object_keys(segments))
    removed = tx.remove_segments(flow_key, segments, at)
    if not keep_last:
        return Removal(removed, len(collect_unreferenced(tx, {segment.object_id for segment in removed}, now)))
    referenced_before = object_ids(segments)
    lost = sorted(referenced_before - tx.still_referenced(referenced_before))
    if lost:
        raise LastReference(
            f"{len(lost)} object(s) would lose their last reference; cascade=true deletes them as well",
            Blockers(objects=len(lost), examples=tuple(lost[:EXAMPLES])),
        )
    return Removal(removed, objects=0)
