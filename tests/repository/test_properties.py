"""Properties: overlap, extent and paging agree with a plain list of Segments, for any Segments and timerange."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tams.domain.filters import FlowFilter, FlowOrder
from tams.domain.flows import Flow
from tams.domain.segments import Segment
from tams.domain.sort_keys import alphabetical, newest_first
from tams.domain.timerange import TimeRange
from tams.repository.port import Page, Read, Repository
from tests.support import factories
from tests.support.hypothesis_profiles import examples
from tests.support.repository_steps import fill, new_flow, put_flows, read, walk, write

# Each example makes its own Flow: examples share the database and nothing else.
PROPERTY = settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@st.composite
def disjoint_ranges(draw: st.DrawFn) -> list[TimeRange]:
    """Draw timeranges that do not overlap, some of which touch, in any order."""
    position = draw(st.integers(-50, 50))
    ranges = []
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), max_size=12)):
        start = position + gap
        position = start + length
        ranges.append(TimeRange(start, position, draw(st.booleans())))
    return draw(st.permutations(ranges))


def any_range() -> st.SearchStrategy[TimeRange]:
    """Draw unbounded, bounded, empty and reversed timeranges."""
    bound = st.none() | st.integers(-60, 160)
    return st.builds(TimeRange, bound, bound)


@PROPERTY
@given(ranges=disjoint_ranges(), wanted=any_range(), limit=st.integers(1, 5), reverse=st.booleans())
def test_walking_a_range_finds_what_overlaps_it(
    repository: Repository, ranges: list[TimeRange], wanted: TimeRange, limit: int, reverse: bool
) -> None:
    flow = new_flow(repository)
    segments = sorted(fill(repository, flow, ranges))
    expected = [segment for segment in segments if segment.timerange.overlaps(wanted)]
    pages: list[list[Segment]] = []

    def page(snapshot: Read, after: str | None) -> Page[Segment]:
        stored_page = snapshot.segments(
            flow.flow_key, wanted, object_id=None, reverse=reverse, after=after, limit=limit
        )
        pages.append(stored_page.items)
        return stored_page

    assert walk(repository, page) == expected[:: -1 if reverse else 1]
    assert all(len(each) == limit for each in pages[:-1])
    extent = TimeRange(expected[0].start, expected[-1].end) if expected else None
    assert read(repository, lambda snapshot: snapshot.extent(flow.flow_key, wanted)) == extent
    inside = [segment for segment in segments if wanted.contains(segment.timerange)]
    assert read(repository, lambda snapshot: snapshot.segments_within(flow.flow_key, wanted, limit)) == inside[:limit]
    chosen = walk(
        repository,
        lambda snapshot, after: snapshot.list_flows(
            FlowFilter(source_id=flow.source_id, timerange=wanted), order="created", reverse=False, after=after, limit=1
        ),
    )
    assert bool(chosen) is (not segments if wanted.is_empty else bool(expected))


@PROPERTY
@given(
    ranges=disjoint_ranges(),
    asked=st.lists(
        st.builds(lambda start, length: TimeRange(start, start + length), st.integers(-60, 160), st.integers(0, 20)),
        max_size=8,
    ),
)
def test_overlaps_says_what_the_domain_says(
    repository: Repository, ranges: list[TimeRange], asked: list[TimeRange]
) -> None:
    flow = new_flow(repository)
    fill(repository, flow, ranges)
    expected = [any(each.overlaps(stored) for stored in ranges) for each in asked]
    assert read(repository, lambda snapshot: snapshot.overlaps(flow.flow_key, asked)) == expected


@PROPERTY
@given(ranges=disjoint_ranges(), data=st.data())
def test_what_is_left_after_removing_is_what_was_not_removed(
    repository: Repository, ranges: list[TimeRange], data: st.DataObject
) -> None:
    flow = new_flow(repository)
    segments = fill(repository, flow, ranges)
    leaving = data.draw(st.lists(st.sampled_from(segments), unique=True)) if segments else []
    removed = write(repository, lambda tx: tx.remove_segments(flow.flow_key, leaving, at=9))
    assert set(removed) == set(leaving)
    left = sorted(set(segments) - set(leaving))
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert stored_flow.count == len(left)
    assert stored_flow.extent == (TimeRange(left[0].start, left[-1].end) if left else None)


def labelled(label: str | None) -> dict[str, Any]:
    """Return the keyword argument of a label; none if it is None."""
    return {} if label is None else {"label": label}


LABEL = st.none() | st.text(st.sampled_from("\x01\x02a b\uffff\U00010000\U0001f4f9é"), max_size=3)


@PROPERTY
@given(
    rows=st.lists(st.tuples(LABEL, st.integers(0, 3)), max_size=9),
    order=st.sampled_from(["created", "label"]),
    reverse=st.booleans(),
    limit=st.integers(1, 4),
)
def test_listings_page_through_everything_in_order(
    repository: Repository, rows: list[tuple[str | None, int]], order: FlowOrder, reverse: bool, limit: int
) -> None:
    source_id = factories.uuid()
    flows = [factories.flow(source_id=source_id, created=created, **labelled(label)) for label, created in rows]
    put_flows(repository, *flows)

    def position(flow: Flow) -> str:
        if order == "label":
            return alphabetical(flow.metadata.get("label"), flow.id)
        return newest_first(flow.created, flow.id)

    stored = walk(
        repository,
        lambda snapshot, after: snapshot.list_flows(
            FlowFilter(source_id=source_id), order=order, reverse=reverse, after=after, limit=limit
        ),
    )
    assert stored == sorted(flows, key=position, reverse=reverse)
