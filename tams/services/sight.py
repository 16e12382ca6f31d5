"""What somebody sees of the store: the one place where reading is limited by classes.

Services read what they show through a `Sight`. For admin, and where access is not limited by classes, that is the
repository's snapshot itself. For everybody else it is `Limited`, which knows nothing of what they may not know.
Integrity is never judged by a `Sight`: whether an Object is still in use is asked of all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from tams.domain.classes import (
    Access,
    document_classes,
    flow_as_seen,
    related_flows,
    related_sources,
    source_as_seen,
)
from tams.domain.errors import NotFound
from tams.domain.filters import NO_TAGS, FlowFilter, FlowOrder, SourceFilter, SourceOrder, TagFilter
from tams.domain.flows import Flow, Source
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Page, Read
from tams.services.rights import lacking, object_as_seen, readable_flows, readable_sources, require_object

R = TypeVar("R", Flow, Source)

_PAGE = 1000


class Sight(Protocol):
    """The questions of `Read` by which things are shown. What is not to be known of is not there; what is known of and
    may not be read is `Forbidden`."""

    def flow(self, flow_id: str) -> Flow | None:
        """The Flow."""

    def list_flows(
        self, where: FlowFilter, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """A page of Flows."""

    def source(self, source_id: str) -> Source | None:
        """The Source."""

    def list_sources(
        self, where: SourceFilter, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""

    def segments(
        self,
        flow_key: int,
        overlapping: TimeRange,
        object_id: str | None,
        reverse: bool,
        after: Cursor | None,
        limit: int,
    ) -> Page[Segment]:
        """A page of Segments of a Flow that was found by `flow`."""

    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        """The extent of Segments of a Flow that was found by `flow`."""

    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        """The instances of Objects that were found otherwise."""

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Those of the Objects that exist."""

    def references(
        self, object_id: str, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Ids of the Flows that refer to the Object."""


class Limited:
    """A snapshot as one sees it whose access is limited."""

    def __init__(self, read: Read, access: Access) -> None:
        self._read = read
        self._access = access
        self.segments = read.segments
        self.extent = read.extent
        self.instances = read.instances

    def flow(self, flow_id: str) -> Flow | None:
        """The Flow."""
        flow = self._read.flow(flow_id)
        if flow is None or not self._may_read(document_classes(flow.document), f"Flow {flow_id}"):
            return None
        return self.as_seen([flow])[0]

    def as_seen(self, flows: Sequence[Flow]) -> list[Flow]:
        """The Flows without what is hidden of their collections."""
        related = {other for flow in flows for other in related_flows(flow)}
        if not related:
            return list(flows)
        readable = readable_flows(self._read, self._access, related)
        return [flow_as_seen(flow, readable) for flow in flows]

    def list_flows(
        self, where: FlowFilter, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """A page of Flows."""
        where = replace(where, tags=self._access.readable(where.tags))
        if where.collected_by == ():
            anything = replace(where, collected_by=None)

            def page(after: Cursor | None, limit: int) -> Page[Flow]:
                return self._read.list_flows(anything, order, reverse, after, limit)

            return _uncollected(page, self.as_seen, after, limit)
        if where.collected_by is not None:
            # What a hidden Flow collects is not to be told either.
            known = readable_flows(self._read, self._access, where.collected_by)
            if not known:
                return Page([], None)
            where = replace(where, collected_by=tuple(sorted(known)))
        found = self._read.list_flows(where, order, reverse, after, limit)
        return Page(self.as_seen(found.items), found.next)

    def source(self, source_id: str) -> Source | None:
        """The Source."""
        source = self._read.source(source_id)
        if source is None or not self._may_read(document_classes(source.document), f"Source {source_id}"):
            return None
        return self._sources_as_seen([source])[0]

    def list_sources(
        self, where: SourceFilter, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""
        where = replace(where, tags=self._access.readable(where.tags))
        if where.collected_by == ():
            anything = replace(where, collected_by=None)

            def page(after: Cursor | None, limit: int) -> Page[Source]:
                return self._read.list_sources(anything, order, reverse, after, limit)

            return _uncollected(page, self._sources_as_seen, after, limit)
        if where.collected_by is not None:
            known = readable_sources(self._read, self._access, where.collected_by)
            if not known:
                return Page([], None)
            where = replace(where, collected_by=tuple(sorted(known)))
        found = self._read.list_sources(where, order, reverse, after, limit)
        return Page(self._sources_as_seen(found.items), found.next)

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Those of the Objects that exist, each with the Flow that was first to refer to it where that is seen too."""
        found: dict[str, Object] = {}
        for object_id, item in self._read.objects(object_ids).items():
            with suppress(NotFound):
                require_object(self._read, self._access, "read", item)
                found[object_id] = object_as_seen(self._read, self._access, item)
        return found

    def references(
        self, object_id: str, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Ids of the Flows that refer to the Object."""
        return self._read.references(object_id, self._access.readable(flow_tags), after, limit)

    def _sources_as_seen(self, sources: Sequence[Source]) -> list[Source]:
        related = {other for source in sources for other in related_sources(source)}
        if not related:
            return list(sources)
        readable = readable_sources(self._read, self._access, related)
        return [source_as_seen(source, readable) for source in sources]

    def _may_read(self, classes: Collection[str], what: str) -> bool:
        if not self._access.knows(classes):
            return False
        if not self._access.may("read", classes):
            raise lacking("read", what)
        return True


def _uncollected(
    page: Callable[[Cursor | None, int], Page[R]],
    as_seen: Callable[[Sequence[R]], list[R]],
    after: Cursor | None,
    limit: int,
) -> Page[R]:
    """What nothing collects that is seen. A repository knows only whether anything collects it, so all is looked at."""
    found: list[R] = []
    end: Cursor | None = None
    while True:
        looked_at = page(after, _PAGE)
        for number, item in enumerate(as_seen(looked_at.items), start=1):
            if item.collected_by:
                continue
            if len(found) == limit:
                return Page(found, end)
            found.append(item)
            if len(found) == limit:
                end = looked_at.next if number == len(looked_at.items) else page(after, number).next
        after = looked_at.next
        if after is None:
            return Page(found, None)
