"""Facets, sort texts and cursors: by what every adapter filters and orders its listings.

A facet is a text that states one property, such as "the codec is video/h264" or "the tag `camera` is present". A
filter is a combination of facets. An adapter stores a digest of each facet, of the size that its engine finds cheapest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from tams.domain.filters import NO_TAGS, FlowFilter, SourceFilter, TagFilter
from tams.domain.flow_rules import VIDEO
from tams.domain.flows import Flow, Source
from tams.domain.sort_keys import alphabetical, newest_first
from tams.repository.port import Cursor, Document

Facet: TypeAlias = str


class FacetFilter(NamedTuple):
    """A filter that a resource passes if it has one facet of each group in `present`, and none of `absent`."""

    present: tuple[tuple[Facet, ...], ...] = ()
    absent: tuple[Facet, ...] = ()

    @property
    def matches_nothing(self) -> bool:
        """Tell whether no resource can pass, because a group is empty."""
        return () in self.present


def facet(name: str, value: object = "") -> Facet:
    """Return the facet of a property that has `value`."""
    return f"{name}\0{value}"


def flow_facets(flow: Flow) -> Iterator[Facet]:
    """Yield the facets that `flow_filter` can ask for."""
    yield from _facets(_flow_properties(flow))
    yield from _tag_facets(flow.metadata.get("tags") or {})
    yield from _collected_by_facets(flow.collected_by)


def source_facets(source: Source) -> Iterator[Facet]:
    """Yield the facets that `source_filter` can ask for."""
    yield from _facets({name: source.metadata.get(name) for name in ("label", "format")})
    yield from _tag_facets(source.metadata.get("tags") or {})
    yield from _collected_by_facets(source.collected_by)


def document_facets(document: Document) -> Iterator[Facet]:
    """Yield the facets that `document_filter` can ask for."""
    yield from _facets(document.keys)
    yield from _tag_facets(document.tags)


def flow_filter(where: FlowFilter) -> FacetFilter:
    """Return the facets that match `where`, apart from its timerange, which facets do not cover."""
    properties = {
        "source": where.source_id,
        "label": where.label,
        "profile": where.profile_id,
        "codec": where.codec,
        "status": where.status,
        "frame_width": where.frame_width,
        "frame_height": where.frame_height,
        "format": where.format,
        "init_segments": where.init_segments,
    }
    return _filter(properties, where.tags, where.collected_by)


def source_filter(where: SourceFilter) -> FacetFilter:
    """Return the facets that match `where`."""
    return _filter({"label": where.label, "format": where.format}, where.tags, where.collected_by)


def document_filter(where: Mapping[str, str], tags: TagFilter = NO_TAGS) -> FacetFilter:
    """Return the facets of documents whose keys equal `where` and whose tags match `tags`."""
    return _filter(where, tags)


def tag_filter(tags: TagFilter) -> FacetFilter:
    """Return the facets of resources whose tags match `tags`."""
    return _filter({}, tags)


def flow_sort_texts(flow: Flow) -> dict[str, str]:
    """Return the unique texts that Flows are sorted by, one for each order of a listing, by their column."""
    return {
        "by_created": newest_first(flow.created, flow.id),
        "by_metadata_updated": newest_first(flow.metadata_updated, flow.id),
        "by_label": alphabetical(flow.metadata.get("label"), flow.id),
    }


def source_sort_texts(source: Source) -> dict[str, str]:
    """Return the unique texts that Sources are sorted by, one for each order of a listing, by their column."""
    return {
        "by_created": newest_first(source.created, source.id),
        "by_updated": newest_first(source.updated, source.id),
        "by_label": alphabetical(source.metadata.get("label"), source.id),
    }


def allocation_cursor(created: int, object_id: str) -> Cursor:
    """Return the cursor of a page of allocations whose last Object was allocated at `created` (microseconds)."""
    return f"{created} {object_id}"


def parse_allocation_cursor(cursor: Cursor) -> tuple[int, str]:
    """Return the time of allocation (microseconds) and the id of the last Object on a page."""
    created, _, object_id = cursor.partition(" ")
    return int(created), object_id


def _flow_properties(flow: Flow) -> dict[str, object]:
    """Return the properties that `FlowFilter` compares for equality; None for those that the Flow lacks."""
    metadata = flow.metadata
    essence = metadata.get("essence_parameters") or {}
    properties: dict[str, object] = {
        "source": flow.source_id,
        "label": metadata.get("label"),
        "profile": metadata.get("profile_id"),
        "codec": metadata.get("codec"),
        "status": metadata.get("status"),
        "format": metadata.get("format"),
        "init_segments": essence.get("init_segments") is True,
    }
    if metadata.get("format") == VIDEO:
        properties["frame_width"] = essence.get("frame_width")
        properties["frame_height"] = essence.get("frame_height")
    return properties


def _facets(properties: Mapping[str, object]) -> Iterator[Facet]:
    """Yield a facet for each property that is set."""
    return (facet(name, value) for name, value in properties.items() if value is not None)


def _tag_facets(tags: Mapping[str, Any]) -> Iterator[Facet]:
    """Yield a facet for the presence of each tag, and one for each value that it holds."""
    for name, values in tags.items():
        yield _tag_present(name)
        for value in [values] if isinstance(values, str) else values:
            yield _tag_value(name, value)


def _collected_by_facets(collectors: Iterable[str]) -> tuple[Facet, ...]:
    """Return a facet for each collector, or the facet of an uncollected resource."""
    facets = dict.fromkeys(facet("collected_by", collector) for collector in collectors)
    return tuple(facets) or (facet("collected_by"),)


def _filter(
    properties: Mapping[str, object], tags: TagFilter, collected_by: tuple[str, ...] | None = None
) -> FacetFilter:
    present: list[tuple[Facet, ...]] = [(each,) for each in _facets(properties)]
    present += [tuple(dict.fromkeys(_tag_value(name, value) for value in values)) for name, values in tags.any_of]
    present += [(_tag_present(name),) for name, exists in tags.exists if exists]
    if collected_by is not None:
        present.append(_collected_by_facets(collected_by))
    return FacetFilter(tuple(present), tuple(_tag_present(name) for name, exists in tags.exists if not exists))


def _tag_present(name: str) -> Facet:
    return facet("tag", name)


def _tag_value(name: str, value: str) -> Facet:
    # No tag name contains U+0000, so that one pair of name and value cannot be read as another.
    return facet("tag value", f"{name}\0{value}")
