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
    """A page of Segments in time order (or the reverse).

    `instances` has the instances of the Objects that the Segments refer to, if these were requested.
    """

    segments: list[Segment]
    instances: Mapping[str, tuple[Instance, ...]]
    next: Cursor | None
    reverse: bool

    @property
    def timerange(self) -> TimeRange:
        """The timerange from the start of the earliest to the end of the latest Segment; empty without Segments."""
        if not self.segments:
            return NEVER
        first, last = self.segments[0], self.segments[-1]
        if self.reverse:
            first, last = last, first
        return TimeRange(first.start, last.end, last.closed)


def list_segments(
    store: Store,
    flow_id: str,
    *,
    overlapping: TimeRange,
    object_id: str | None,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    with_instances: bool,
    principal: Principal,
) -> SegmentPage:
    """Return a page of the Segments that overlap the timerange, or only those of the Object if `object_id` is given.

    `with_instances` reads the instances of the Objects, init Objects included, in the same snapshot. A Flow that does
    not exist has no Segments (specification, `GET /flows/{flowId}/segments`).

    Raises:
        Forbidden: the principal may not read the Flow.
    """
    with store.visible_to(principal) as read:
        flow = None if overlapping.is_empty else read.flow(flow_id)
        if flow is None:
            return SegmentPage([], {}, None, reverse)
        page: Page[Segment] = read.segments(
            flow.flow_key, overlapping, object_id=object_id, reverse=reverse, after=after, limit=limit
        )
        instances = read.instances(object_ids(page.items) if with_instances else ())
        return SegmentPage(page.items, instances, page.next, reverse)
