"""Reading the Segments of a Flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tams.domain.objects import Instance
from tams.domain.principals import Principal
from tams.domain.segments import Segment, object_ids
from tams.domain.timerange import NEVER, TimeRange
from tams.repository.port import Cursor, Page
from tams.services.store import Store


@dataclass(frozen=True, slots=True)
class SegmentPage:
    """A page of Segments in time order (or the reverse), and the instances of the Objects they refer to,
    where these were asked for."""

    segments: list[Segment]
    instances: Mapping[str, tuple[Instance, ...]]
    next: Cursor | None
    reverse: bool

    @property
    def timerange(self) -> TimeRange:
        """From the start of the earliest to the end of the latest Segment of this page; empty for an empty page."""
        if not self.segments:
            return NEVER
        first, last = self.segments[0], self.segments[-1]
        if self.reverse:
            first, last = last, first
        return TimeRange(first.start, last.end, last.closed)


def list_segments(
    store: Store,
    flow_id: str,
    overlapping: TimeRange,
    object_id: str | None,
    *,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    with_instances: bool,
    principal: Principal,
) -> SegmentPage:
    """A page of the Segments that overlap the range (of one Object if given).

    `Forbidden` where the Flow may not be read. An unknown Flow has no Segments (specification, `GET
    /flows/{flowId}/segments`). `with_instances` reads the instances of the Objects, init Objects included, in the same
    snapshot.
    """
    with store.visible_to(principal) as tx:
        flow = None if overlapping.is_empty else tx.flow(flow_id)
        if flow is None:
            return SegmentPage([], {}, None, reverse)
        page: Page[Segment] = tx.segments(
            flow.flow_key, overlapping, object_id=object_id, reverse=reverse, after=after, limit=limit
        )
        needed = object_ids(page.items) if with_instances else set()
        return SegmentPage(page.items, tx.instances(needed), page.next, reverse)
