"""Listings of Flows and Sources: order, filters, and pages that stay correct while rows are added and removed."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from tams.domain.filters import FlowFilter, FlowOrder, SourceFilter, SourceOrder, TagFilter
from tams.domain.flows import Flow, Source
from tams.domain.sort_keys import alphabetical, newest_first
from tams.domain.timerange import ETERNITY, NEVER, TimeRange
from tams.repository.port import Cursor, Page, Repository, Write, all_items, pages
from tests.support import factories
from tests.support.factories import seconds, uuid
from tests.support.repository_steps import fill, put_flows, put_sources, read, walk, write

LABELS = [
    None,
    "",
    "a",
    "a\x01",
    "a\x01b",
    "a\x02",
    "a b",
    "A",
    "ab",
    "é",
    "e\u0301",
    "\uffff",
    "\U00010000",
    "\U0001f4f9",
    "\x01" * 1024,
    "a",
    "Z",
    None,
]


def labelled(label: str | None) -> dict[str, Any]:
    """Return the keyword argument of a label; none if it is None."""
    return {} if label is None else {"label": label}


def listed(
    repository: Repository,
    where: FlowFilter | None = None,
    order: FlowOrder = "created",
    *,
    reverse: bool = False,
    limit: int = 100,
) -> list[str]:
    """Return the ids of a listing of Flows, read page by page."""
    flows = walk(
        repository,
        lambda snapshot, after: snapshot.list_flows(
            where or FlowFilter(), order=order, reverse=reverse, after=after, limit=limit
        ),
    )
    return [flow.id for flow in flows]


def listed_sources(
    repository: Repository,
    where: SourceFilter | None = None,
    order: SourceOrder = "created",
    *,
    reverse: bool = False,
    limit: int = 100,
) -> list[str]:
    """Return the ids of a listing of Sources, read page by page."""
    sources = walk(
        repository,
        lambda snapshot, after: snapshot.list_sources(
            where or SourceFilter(), order=order, reverse=reverse, after=after, limit=limit
        ),
    )
    return [source.id for source in sources]


def _flow_position(flow: Flow, order: str) -> str:
    if order == "label":
        return alphabetical(flow.metadata.get("label"), flow.id)
    return newest_first(flow.created if order == "created" else flow.metadata_updated, flow.id)


def _source_position(source: Source, order: str) -> str:
    if order == "label":
        return alphabetical(source.metadata.get("label"), source.id)
    return newest_first(source.created if order == "created" else source.updated, source.id)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", get_args(FlowOrder))
def test_flows_come_in_the_order_of_the_domain(repository: Repository, order: FlowOrder, reverse: bool) -> None:
    source_id = uuid()
    flows = [
        factories.flow(
            source_id=source_id,
            created=number // 3,
            metadata_updated=100 - number // 2,
            **labelled(label),
        )
        for number, label in enumerate(LABELS)
    ]
    put_flows(repository, *flows)
    expected = [flow.id for flow in sorted(flows, key=lambda each: _flow_position(each, order), reverse=reverse)]
    for limit in (1, 4, len(flows), 100):
        assert listed(repository, order=order, reverse=reverse, limit=limit) == expected


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", get_args(SourceOrder))
def test_sources_come_in_the_order_of_the_domain(repository: Repository, order: SourceOrder, reverse: bool) -> None:
    sources = [
        factories.source(created=number // 3, updated=100 - number // 2, **labelled(label))
        for number, label in enumerate(LABELS)
    ]
    put_sources(repository, *sources)
    expected = [each.id for each in sorted(sources, key=lambda each: _source_position(each, order), reverse=reverse)]
    for limit in (1, 4, 100):
        assert listed_sources(repository, order=order, reverse=reverse, limit=limit) == expected


def test_a_page_is_full_and_the_last_one_has_no_successor(repository: Repository) -> None:
    source_id = uuid()
    put_flows(repository, *(factories.flow(source_id=source_id, created=number) for number in range(4)))
    with repository.read() as snapshot:
        first = snapshot.list_flows(FlowFilter(), order="created", reverse=False, after=None, limit=2)
        second = snapshot.list_flows(FlowFilter(), order="created", reverse=False, after=first.next, limit=2)
        assert (len(first.items), len(second.items)) == (2, 2)
        assert first.next is not None
        assert second.next is None
        assert snapshot.list_flows(FlowFilter(), order="created", reverse=False, after=None, limit=4).next is None


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_a_whole_listing_is_read_page_by_page(repository: Repository, limit: int) -> None:
    source_id = uuid()
    flows = [factories.flow(source_id=source_id, created=number) for number in range(5)]
    put_flows(repository, *flows)
    with repository.read() as snapshot:

        def page_after(after: Cursor | None) -> Page[Flow]:
            return snapshot.list_flows(FlowFilter(), order="created", reverse=True, after=after, limit=limit)

        assert [flow.id for flow in all_items(page_after)] == [flow.id for flow in flows]
        assert [len(page) for page in pages(page_after)] == [len(flows[n : n + limit]) for n in range(0, 5, limit)]


def test_a_page_is_read_only_once_the_page_before_is_used(repository: Repository) -> None:
    source_id = uuid()
    put_flows(repository, *(factories.flow(source_id=source_id, created=number) for number in range(5)))
    requests = 0
    with repository.read() as snapshot:

        def page_after(after: Cursor | None) -> Page[Flow]:
            nonlocal requests
            requests += 1
            return snapshot.list_flows(FlowFilter(), order="created", reverse=False, after=after, limit=2)

        assert [requests for _ in pages(page_after)] == [1, 2, 3]
        requests = 0
        assert [requests for _ in all_items(page_after)] == [1, 1, 2, 2, 3]


def test_an_empty_listing_is_one_empty_page(repository: Repository) -> None:
    with repository.read() as snapshot:
        assert list(
            pages(lambda after: snapshot.list_flows(FlowFilter(), order="created", reverse=False, after=after, limit=2))
        ) == [[]]


def test_flows_are_filtered_by_each_property(repository: Repository) -> None:
    first, second = uuid(), uuid()
    profile = uuid()
    video = factories.flow(
        source_id=first,
        label="one",
        status="ingesting",
        profile_id=profile,
        essence_parameters={"frame_width": 1920, "frame_height": 1080, "init_segments": True},
    )
    small = factories.flow(
        source_id=first,
        label="two",
        codec="video/raw",
        essence_parameters={"frame_width": 640, "frame_height": 360, "init_segments": False},
    )
    # An image has dimensions too, but these filters match video only.
    image = factories.flow(
        source_id=second,
        format="urn:x-tam:format:image",
        codec="image/png",
        essence_parameters={"frame_width": 1920, "frame_height": 1080},
    )
    put_flows(repository, video, small, image)
    cases: list[tuple[FlowFilter, list[Flow]]] = [
        (FlowFilter(), [video, small, image]),
        (FlowFilter(source_id=first), [video, small]),
        (FlowFilter(source_id=uuid()), []),
        (FlowFilter(format=factories.VIDEO), [video, small]),
        (FlowFilter(codec="image/png"), [image]),
        (FlowFilter(profile_id=profile), [video]),
        (FlowFilter(label="two"), [small]),
        (FlowFilter(label="tw"), []),
        (FlowFilter(status="ingesting"), [video]),
        (FlowFilter(frame_width=1920), [video]),
        (FlowFilter(frame_height=360), [small]),
        (FlowFilter(init_segments=True), [video]),
        (FlowFilter(init_segments=False), [small, image]),
        (FlowFilter(format=factories.VIDEO, frame_width=640, label="two", init_segments=False), [small]),
        (FlowFilter(format=factories.VIDEO, frame_width=640, label="one"), []),
    ]
    for where, expected in cases:
        assert set(listed(repository, where)) == {flow.id for flow in expected}, where


TAGGED: list[dict[str, str | list[str]]] = [
    {},
    {"genre": "news"},
    {"genre": ["news", "sport"]},
    {"genre": ["sport"], "place": "Köln"},
    {"genre": "newsroom", "place": ["Köln", "Bonn"]},
    {"genre": [], "a.b/c,d": "x,y"},
    {"genre": ["news"], "place": "\U0001f30d" * 256, "long" * 250: "v" * 1024},
]
TAG_FILTERS = [
    TagFilter(any_of=(("genre", ("news",)),)),
    TagFilter(any_of=(("genre", ("news", "sport")),)),
    TagFilter(any_of=(("genre", ("sport", "sport", "nothing")),)),
    TagFilter(any_of=(("genre", ()),)),
    TagFilter(any_of=(("genre", ("news", "newsroom")), ("place", ("Köln", "Bonn")))),
    TagFilter(any_of=(("place", ("\U0001f30d" * 256,)),)),
    TagFilter(any_of=(("a.b/c,d", ("x,y",)),)),
    TagFilter(any_of=(("long" * 250, ("v" * 1024,)),), exists=(("place", True),)),
    TagFilter(exists=(("genre", True),)),
    TagFilter(exists=(("genre", False),)),
    TagFilter(exists=(("genre", True), ("place", False))),
    TagFilter(any_of=(("genre", ("sport", "news")),), exists=(("place", False),)),
]


@pytest.mark.parametrize("limit", [1, 100])
def test_tag_filters_choose_what_the_domain_chooses(repository: Repository, limit: int) -> None:
    sources = [factories.source(created=n, tags=tags) for n, tags in enumerate(TAGGED)]
    flows = [factories.flow(source_id=sources[0].id, created=n, tags=tags) for n, tags in enumerate(TAGGED)]
    put_sources(repository, *sources)
    put_flows(repository, *flows)
    for tags in TAG_FILTERS:
        expected = [flow.id for flow in reversed(flows) if tags.matches(flow.metadata["tags"])]
        assert listed(repository, FlowFilter(tags=tags), limit=limit) == expected, tags
        assert listed(repository, FlowFilter(tags=tags), reverse=True, limit=limit) == expected[::-1], tags
        expected = [each.id for each in reversed(sources) if tags.matches(each.metadata["tags"])]
        assert listed_sources(repository, SourceFilter(tags=tags), limit=limit) == expected, tags


def test_removed_tags_do_not_match(repository: Repository) -> None:
    flow = factories.flow(source_id=uuid(), tags={"a": "1"})
    put_flows(repository, flow)
    changed = factories.flow(flow.id, source_id=flow.source_id, key=flow.flow_key, tags={"b": "1"})
    write(repository, lambda tx: tx.put_flow(changed))
    assert listed(repository, FlowFilter(tags=TagFilter(exists=(("a", True),)))) == []
    assert listed(repository, FlowFilter(tags=TagFilter(exists=(("b", True),)))) == [flow.id]


def test_flows_and_sources_are_filtered_by_what_collects_them(repository: Repository) -> None:
    first, second, third = (factories.flow(source_id=uuid()) for _ in range(3))
    member = factories.flow(source_id=uuid(), collected_by=(first.id, second.id))
    put_flows(repository, first, second, third, member)
    assert set(listed(repository, FlowFilter(collected_by=()))) == {first.id, second.id, third.id}
    for collectors in [(first.id,), (second.id, third.id), (first.id, second.id)]:
        assert listed(repository, FlowFilter(collected_by=collectors), limit=1) == [member.id]
    assert listed(repository, FlowFilter(collected_by=(third.id,))) == []

    child = factories.source(collected_by=(first.source_id,))
    put_sources(repository, child)
    assert listed_sources(repository, SourceFilter(collected_by=(first.source_id, uuid()))) == [child.id]
    assert child.id not in listed_sources(repository, SourceFilter(collected_by=()))


def test_sources_are_filtered_by_label_and_format(repository: Repository) -> None:
    one = factories.source(label="one")
    other = factories.source(label="one", format="urn:x-nmos:format:audio")
    put_sources(repository, one, other, factories.source(label="two"))
    assert set(listed_sources(repository, SourceFilter(label="one"))) == {one.id, other.id}
    assert listed_sources(repository, SourceFilter(label="one", format=factories.VIDEO)) == [one.id]


def test_flows_are_filtered_by_their_content(repository: Repository) -> None:
    early, late, empty = (factories.flow(source_id=uuid()) for _ in range(3))
    put_flows(repository, early, late, empty)
    fill(repository, early, [seconds(0, 10), seconds(20, 30)])
    fill(repository, late, [seconds(25, 26), seconds(100, 101)])
    cases: list[tuple[TimeRange, list[Flow]]] = [
        (ETERNITY, [early, late]),
        (NEVER, [empty]),
        (seconds(0, 1), [early]),
        (seconds(10, 20), []),
        (seconds(9, 21), [early]),
        (seconds(29, 31), [early]),
        (seconds(25, 26), [early, late]),
        (TimeRange(None, 0), []),
        (TimeRange(None, 1), [early]),
        (seconds(30, 100), []),
        (TimeRange(101 * factories.SECOND - 1, None), [late]),
        (TimeRange(101 * factories.SECOND, None), []),
    ]
    for timerange, expected in cases:
        assert set(listed(repository, FlowFilter(timerange=timerange))) == {flow.id for flow in expected}
        assert set(listed(repository, FlowFilter(timerange=timerange, format=factories.VIDEO), limit=1)) == {
            flow.id for flow in expected
        }


def test_pages_stay_correct_while_flows_are_added_and_removed(repository: Repository) -> None:
    source_id = uuid()
    flows = [factories.flow(source_id=source_id, created=number, tags={"t": "v"}) for number in range(40)]
    put_flows(repository, *flows[::2])
    remaining_ids = {flow.id for flow in flows[::2]}
    late = iter(flows[1::2])
    gone: set[str] = set()
    seen: list[str] = []
    where = FlowFilter(tags=TagFilter(any_of=(("t", ("v", "w")),)))
    after = None
    for step in itertools.count():
        with repository.read() as snapshot:
            page = snapshot.list_flows(where, order="created", reverse=True, after=after, limit=3)
        seen += [flow.id for flow in page.items]
        after = page.next
        if after is None:
            break
        assert len(page.items) == 3
        leaving = seen[-1] if step % 2 else None

        arriving = next(late, None)

        def change(tx: Write, leaving: str | None = leaving, arriving: Flow | None = arriving) -> None:
            if leaving is not None:
                tx.delete_flow(leaving)
            if arriving is not None:
                tx.put_flow(arriving)

        write(repository, change)
        if leaving is not None:
            gone.add(leaving)
    assert len(seen) == len(set(seen))
    assert remaining_ids <= set(seen) | gone
    assert seen == [flow.id for flow in flows if flow.id in set(seen)]


def test_one_snapshot_sees_one_moment(repository: Repository) -> None:
    new_flow = factories.flow(source_id=uuid())
    put_flows(repository, new_flow)
    with repository.read() as snapshot:
        assert snapshot.flow(new_flow.id) == new_flow
        write(repository, lambda tx: tx.delete_flow(new_flow.id))
        assert snapshot.flow(new_flow.id) == new_flow
        assert [
            flow.id
            for flow in snapshot.list_flows(FlowFilter(), order="label", reverse=False, after=None, limit=5).items
        ] == [new_flow.id]
    assert read(repository, lambda later: later.flow(new_flow.id)) is None
