"""Reads restricted by access classes; the only place where classes limit reading.

Services read everything that they show through a `VisibleRead`. For unrestricted access that is the repository's
snapshot itself; otherwise it is a `LimitedRead`, which hides items that the principal may not know of. Checks of
integrity never use a `VisibleRead`: whether an Object is still in use depends on all Flows, hidden ones included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from typing_extensions import override

from tams.domain.access import Access, document_classes
from tams.domain.collection_views import related_flow_ids, related_source_ids, visible_flow, visible_source
from tams.domain.errors import NotFound
from tams.domain.filters import NO_TAGS, FlowFilter, FlowOrder, SourceFilter, SourceOrder, TagFilter
from tams.domain.flows import Flow, Source
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange
from tams.repository.port import Cursor, Page, Read
from tams.services.access.authorization import (
    missing_permission,
    readable_flows,
    readable_sources,
    require_object,
    visible_object,
)

R = TypeVar("R", Flow, Source)
F = TypeVar("F", FlowFilter, SourceFilter)

_PAGE = 1000


class VisibleRead(Protocol):
    """The part of `Read` that serves what is shown to a principal.

    An item that the principal has no permission on is absent. An item with another permission than read raises
    `Forbidden`.
    """

    def flow(self, flow_id: str) -> Flow | None:
        """Return the Flow, or None if it is absent."""

    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        """Return a page of Flows."""

    def source(self, source_id: str) -> Source | None:
        """Return the Source, or None if it is absent."""

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """Return a page of Sources."""

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
        """Return a page of Segments of a Flow that `flow` returned."""

    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        """Return the extent of the overlapping Segments of a Flow that `flow` returned."""

    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        """Return the instances, by Object id, of Objects that another method returned."""

    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        """Return the Objects that exist, by id."""

    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        """Return a page of ids of the Flows that refer to the Object."""


class _Kind(NamedTuple, Generic[R]):
    """The differences between Flows and Sources.

    `readable_ids` returns those of some ids that may be read. `related_ids` returns the ids that an item names.
    `visible` returns an item with only the readable ones of these ids.
    """

    readable_ids: Callable[[Read, Access, Collection[str]], set[str]]
    related_ids: Callable[[R], set[str]]
    visible: Callable[[R, Collection[str]], R]


_FLOWS = _Kind(readable_flows, related_flow_ids, visible_flow)
_SOURCES = _Kind(readable_sources, related_source_ids, visible_source)


class LimitedRead(VisibleRead):
    """A snapshot restricted to what a principal with limited access may see."""

    def __init__(self, read: Read, access: Access) -> None:
        self._read = read
        self._access = access

    @override
    def flow(self, flow_id: str) -> Flow | None:
        return self._visible_item(_FLOWS, self._read.flow(flow_id), f"Flow {flow_id}")

    @override
    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        def listing(where: FlowFilter, after: Cursor | None, limit: int) -> Page[Flow]:
            return self._read.list_flows(where, order=order, reverse=reverse, after=after, limit=limit)

        return self._visible_page(_FLOWS, listing, where, after, limit)

    @override
    def source(self, source_id: str) -> Source | None:
        return self._visible_item(_SOURCES, self._read.source(source_id), f"Source {source_id}")

    @override
    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        def listing(where: SourceFilter, after: Cursor | None, limit: int) -> Page[Source]:
            return self._read.list_sources(where, order=order, reverse=reverse, after=after, limit=limit)

        return self._visible_page(_SOURCES, listing, where, after, limit)

    @override
    def objects(self, object_ids: Collection[str]) -> dict[str, Object]:
        # An Object names the Flow that referred to it first only if that Flow is visible, too.
        visible: dict[str, Object] = {}
        for object_id, item in self._read.objects(object_ids).items():
            with suppress(NotFound):
                require_object(self._read, self._access, "read", item)
                visible[object_id] = visible_object(self._read, self._access, item)
        return visible

    @override
    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        return self._read.references(object_id, flow_tags=self._access.readable(flow_tags), after=after, limit=limit)

    # The next three need no check: callers take their keys and ids from Flows and Objects that are visible.

    @override
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
        return self._read.segments(
            flow_key, overlapping, object_id=object_id, reverse=reverse, after=after, limit=limit
        )

    @override
    def extent(self, flow_key: int, overlapping: TimeRange) -> TimeRange | None:
        return self._read.extent(flow_key, overlapping)

    @override
    def instances(self, object_ids: Collection[str]) -> dict[str, tuple[Instance, ...]]:
        return self._read.instances(object_ids)

    def _visible_item(self, kind: _Kind[R], item: R | None, what: str) -> R | None:
        """Return the item, or None without any permission on it. Raises Forbidden with another permission than read."""
        if item is None:
            return None
        classes = document_classes(item.metadata)
        if not self._access.knows(classes):
            return None
        if not self._access.may("read", classes):
            raise missing_permission("read", what)
        return self._visible(kind, [item])[0]

    def _visible_page(
        self,
        kind: _Kind[R],
        listing: Callable[[F, Cursor | None, int], Page[R]],
        where: F,
        after: Cursor | None,
        limit: int,
    ) -> Page[R]:
        """Return a page of readable items; `listing` returns a page of all items."""
        where = replace(where, tags=self._access.readable(where.tags))
        if where.collected_by == ():
            any_collection = partial(listing, replace(where, collected_by=None))
            return _uncollected(any_collection, partial(self._visible, kind), after=after, limit=limit)
        if where.collected_by is not None:
            # A filter by a hidden collector must not reveal its members.
            collectors = kind.readable_ids(self._read, self._access, where.collected_by)
            if not collectors:
                return Page([], None)
            where = replace(where, collected_by=tuple(sorted(collectors)))
        page = listing(where, after, limit)
        return Page(self._visible(kind, page.items), page.next)

    def _visible(self, kind: _Kind[R], items: Sequence[R]) -> list[R]:
        """Return the items without the hidden ids in their collections."""
        related_ids = {related_id for item in items for related_id in kind.related_ids(item)}
        if not related_ids:
            return list(items)
        readable_ids = kind.readable_ids(self._read, self._access, related_ids)
        return [kind.visible(item, readable_ids) for item in items]


def _uncollected(
    list_page: Callable[[Cursor | None, int], Page[R]],
    visible: Callable[[Sequence[R]], list[R]],
    *,
    after: Cursor | None,
    limit: int,
) -> Page[R]:
    """Return a page of the items that have no visible collector.

    A repository knows only whether an item has any collector, so that this reads all items.
    """
    uncollected: list[R] = []
    end: Cursor | None = None
    while True:
        page = list_page(after, _PAGE)
        for number, item in enumerate(visible(page.items), start=1):
            if item.collected_by:
                continue
            if len(uncollected) == limit:
                return Page(uncollected, end)
            uncollected.append(item)
            if len(uncollected) == limit:
                end = page.next if number == len(page.items) else list_page(after, number).next
        after = page.next
        if after is None:
            return Page(uncollected, None)
