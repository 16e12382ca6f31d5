"""What somebody sees of the store: the one place where reading is limited by classes.

Services read what they show through a `VisibleRead`. For admin, and where access is not limited by classes, that is the
repository's snapshot itself. For everybody else it is `LimitedRead`, which knows nothing of what they may not know.
Integrity is never judged by a `VisibleRead`: whether an Object is still in use is asked of all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from tams.domain.access import Access, document_classes
from tams.domain.collection_views import related_flow_ids, related_source_ids, visible_flow, visible_source
from tams.domain.errors import NotFound
from tams.domain.filters import NO_TAGS, FlowFilter, FlowOrder, SourceFilter, SourceOrder, TagFilter
from tams.domain.flows import Flow, Source
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Page, Read
from tams.services.access.authorization import lacking, object_as_seen, readable_flows, readable_sources, require_object

R = TypeVar("R", Flow, Source)
F = TypeVar("F", FlowFilter, SourceFilter)

_PAGE = 1000


class VisibleRead(Protocol):
    """The questions of `Read` by which things are shown. What is not to be known of is not there; what is known of and
    may not be read is `Forbidden`."""

    def flow(self, flow_id: str) -> Flow | None:
        """The Flow."""

    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """A page of Flows."""

    def source(self, source_id: str) -> Source | None:
        """The Source."""

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""

    def segments(
        self,
        flow_key: int,
        overlapping: TimeRange,
        *,
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
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Ids of the Flows that refer to the Object."""


class _Kind(NamedTuple, Generic[R]):
    """What Flows and Sources differ in here.

    `readable`: those of some ids that may be read. `related`: the ids that one of them names. `as_seen`: what is shown
    of it, given those of these ids that may be read.
    """

    readable: Callable[[Read, Access, Collection[str]], set[str]]
    related: Callable[[R], set[str]]
    as_seen: Callable[[R, Collection[str]], R]


_FLOWS = _Kind(readable_flows, related_flow_ids, visible_flow)
_SOURCES = _Kind(readable_sources, related_source_ids, visible_source)


class LimitedRead:
    """A snapshot as one sees it whose access is limited."""

    def __init__(self, read: Read, access: Access) -> None:
        self._read = read
        self._access = access
        self.segments = read.segments
        self.extent = read.extent
        self.instances = read.instances

    def flow(self, flow_id: str) -> Flow | None:
        """The Flow."""
        return self._one(_FLOWS, self._read.flow(flow_id), f"Flow {flow_id}")

    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """A page of Flows."""

        def listing(where: FlowFilter, after: Cursor | None, limit: int) -> Page[Flow]:
            return self._read.list_flows(where, order=order, reverse=reverse, after=after, limit=limit)

        return self._listed(_FLOWS, listing, where, after, limit)

    def source(self, source_id: str) -> Source | None:
        """The Source."""
        return self._one(_SOURCES, self._read.source(source_id), f"Source {source_id}")

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""

        def listing(where: SourceFilter, after: Cursor | None, limit: int) -> Page[Source]:
            return self._read.list_sources(where, order=order, reverse=reverse, after=after, limit=limit)

        return self._listed(_SOURCES, listing, where, after, limit)

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Those of the Objects that exist, each with the Flow that was first to refer to it where that is seen too."""
        found: dict[str, Object] = {}
        for object_id, item in self._read.objects(object_ids).items():
            with suppress(NotFound):
                require_object(self._read, self._access, "read", item)
                found[object_id] = object_as_seen(self._read, self._access, item)
        return found

    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Ids of the Flows that refer to the Object."""
        return self._read.references(object_id, flow_tags=self._access.readable(flow_tags), after=after, limit=limit)

    def _one(self, kind: _Kind[R], item: R | None, what: str) -> R | None:
        """The item, None where it is not to be known of. `Forbidden` where it may not be read."""
        if item is None:
            return None
        classes = document_classes(item.metadata)
        if not self._access.knows(classes):
            return None
        if not self._access.may("read", classes):
            raise lacking("read", what)
        return self._as_seen(kind, [item])[0]

    def _listed(
        self,
        kind: _Kind[R],
        listing: Callable[[F, Cursor | None, int], Page[R]],
        where: F,
        after: Cursor | None,
        limit: int,
    ) -> Page[R]:
        """A page of what may be read; `listing` gives a page of what there is."""
        where = replace(where, tags=self._access.readable(where.tags))
        if where.collected_by == ():
            whatever = partial(listing, replace(where, collected_by=None))
            return _uncollected(whatever, partial(self._as_seen, kind), after, limit)
        if where.collected_by is not None:
            # What a hidden one collects is not to be told either.
            collectors = kind.readable(self._read, self._access, where.collected_by)
            if not collectors:
                return Page([], None)
            where = replace(where, collected_by=tuple(sorted(collectors)))
        found = listing(where, after, limit)
        return Page(self._as_seen(kind, found.items), found.next)

    def _as_seen(self, kind: _Kind[R], items: Sequence[R]) -> list[R]:
        """The items without what is hidden of their collections."""
        related = {other for item in items for other in kind.related(item)}
        if not related:
            return list(items)
        readable = kind.readable(self._read, self._access, related)
        return [kind.as_seen(item, readable) for item in items]


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
