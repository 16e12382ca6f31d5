"""The steps that all deletions share: removing Segments from a Flow, and requests to the worker for the rest.

A deletion runs the five steps of `tams.services.unit_of_work`. It finds the Flows, Segments and Objects that it is
about, claims them, re-reads each of them once, decides, and writes. Segments are not re-read separately: their
removal removes and returns only those that have not changed since they were found.

Each deletion takes `cascade` as the client gave it: None (do what the specification says), False (refuse with 409 if
something else would be lost) or True (delete what depends on it as well, and report the counts). If there are more
Segments than `settings.delete_inline_limit`, the worker removes the rest, and the outcome is `Accepted`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tams.domain.access import Access, document_classes
from tams.domain.deletion import Accepted, Counts, Deleted, DeleteRequest, Outcome
from tams.domain.flows import Flow
from tams.domain.identifiers import new_id
from tams.domain.principals import Principal
from tams.domain.segments import Segment
from tams.domain.timerange import NEVER, TimeRange
from tams.repository.port import Read, Write
from tams.services.access.authorization import readable_flows
from tams.services.deletion.segment_removal import EXAMPLES, LastReference, remove
from tams.services.outbox import Outbox
from tams.services.store import Store
from tams.services.unit_of_work import Claim

COUNT_CAP = 10_000
"""The cap for counts of what blocks a deletion: a larger number costs more and tells the client nothing new."""

PAGE = 1000
"""Page size for walking through listings."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One deletion in its transaction: the principal who asks for it, what was claimed, and its time and events.

    `now` (microseconds) is read after the claim, so that the deletion is later than the changes that the claim had to
    wait for. `limit` is the largest number of Segments that one request removes itself.
    """

    tx: Write
    claim: Claim
    outbox: Outbox
    principal: Principal
    access: Access
    now: int
    limit: int

    @classmethod
    def after(cls, claim: Claim, tx: Write, store: Store, principal: Principal) -> Deletion:
        """Return the deletion that goes on after the claim."""
        limit = store.settings.delete_inline_limit
        return cls(tx, claim, Outbox(tx), principal, store.access(principal), store.now(), limit)

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
        """Return a request for the Segments of the Flow that are left in `within`.

        It spares the Segments that are registered after this deletion. `extent` is that of the Segments that are left.
        """
        timerange = _bounded(within, extent)
        return DeleteRequest(
            id=new_id(),
            flow_id=flow.id,
            flow_key=flow.flow_key,
            timerange=timerange,
            remaining=timerange,
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

    def remove(self, flow: Flow, segments: Sequence[Segment], *, keep_last: bool) -> Counts:
        """Remove the Segments that were found in the Flow, and the Objects that nothing refers to any more.

        Raises:
            Retry: a Segment refers to an Object that was not claimed.
            LastReference: `keep_last` is set, and an Object would lose its last reference.
        """
        if not segments:
            return Counts()
        at = flow.next_change(self.now)
        try:
            removal = remove(
                self.tx, flow.flow_key, segments, claim=self.claim, at=at, now=self.now, keep_last=keep_last
            )
        except LastReference as error:
            if self.access.may("read", document_classes(flow.metadata)):
                raise
            raise error.without_examples() from error
        self.outbox.segments_deleted(flow, removal.segments, at)
        return Counts(segments=len(removal.segments), objects=removal.objects)


def outcome(counts: Counts, requests: Sequence[DeleteRequest]) -> Outcome:
    """Return `Accepted` if requests are left for the worker, else `Deleted`."""
    return Accepted(tuple(requests)) if requests else Deleted(counts)


def readable_examples(read: Read, access: Access, flow_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the first of the Flows that `access` may read, as examples of what blocks a deletion."""
    readable: Collection[str] = readable_flows(read, access, flow_ids) if access.is_limited else flow_ids
    return tuple(flow_id for flow_id in flow_ids if flow_id in readable)[:EXAMPLES]


def _bounded(within: TimeRange, extent: TimeRange | None) -> TimeRange:
    """Return `within` with each open end replaced by that of the Segments' extent."""
    if extent is None:
        return NEVER
    start = extent.start if within.start is None else within.start
    if within.end is None:
        return TimeRange(start, extent.end, extent.closed)
    return TimeRange(start, within.end, within.closed)
