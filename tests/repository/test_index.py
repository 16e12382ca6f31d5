"""Facets say the same as the filters that they stand for, and their digests are those in existing databases."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tams.domain.filters import FlowFilter, SourceFilter, TagFilter
from tams.repository.index import (
    allocation_cursor,
    facet,
    flow_facets,
    flow_filter,
    parse_allocation_cursor,
    source_facets,
    source_filter,
)
from tams.repository.sql.facets import facet_digest
from tams.repository.vast.facets import facets_column
from tests.support.factories import flow, source

NAMES = st.sampled_from(["camera", "tag", "a"])
VALUES = st.sampled_from(["", "a", "b", "a\0b"])
TAGS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=3))
TAG_FILTERS = st.builds(
    TagFilter,
    st.lists(st.tuples(NAMES, st.lists(VALUES, max_size=3).map(tuple)), max_size=2).map(tuple),
    st.lists(st.tuples(NAMES, st.booleans()), max_size=2).map(tuple),
)
COLLECTORS = st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple)


@given(TAGS, TAG_FILTERS, COLLECTORS, st.none() | COLLECTORS)
def test_facets_match_where_the_filter_does(
    tags: dict[str, str | list[str]],
    wanted_tags: TagFilter,
    collected_by: tuple[str, ...],
    wanted_collectors: tuple[str, ...] | None,
) -> None:
    stored = source(collected_by=collected_by, tags=tags)
    filters = source_filter(SourceFilter(tags=wanted_tags, collected_by=wanted_collectors))
    facets = set(source_facets(stored))
    passes = all(facets.intersection(group) for group in filters.present) and facets.isdisjoint(filters.absent)
    is_collected_as_wanted = (
        wanted_collectors is None
        or (not wanted_collectors and not collected_by)
        or not set(wanted_collectors).isdisjoint(collected_by)
    )
    assert passes == (wanted_tags.matches(tags) and is_collected_as_wanted)
    assert not (passes and filters.matches_nothing)


def test_a_flow_has_the_facets_of_its_properties() -> None:
    stored = flow(source_id="s", label="L")
    assert {facet("source", "s"), facet("label", "L"), facet("init_segments", False)} <= set(flow_facets(stored))
    where = FlowFilter(source_id="s", label="L", init_segments=False)
    assert {group for (group,) in flow_filter(where).present} <= set(flow_facets(stored))


def test_the_digests_are_those_in_existing_databases() -> None:
    assert facet_digest(facet("tag", "camera")).hex() == "fdb7fc5c2655b368af4045c406005969"
    assert facets_column([facet("tag", "camera")]) == "\x1f4gSwdZRzcv/t\x1f"


def test_the_cursor_of_allocations_holds_time_and_id() -> None:
    assert parse_allocation_cursor(allocation_cursor(-5, "an id with spaces")) == (-5, "an id with spaces")
