"""Segments: pages in order of time, overlaps, extent, store and remove."""

from __future__ import annotations

import pytest

from tams.domain.errors import IntegrityBroken
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY, MAX_NS, MIN_NS, NEVER, TimeRange
from tams.repository.port import Repository
from tests.support import factories
from tests.support.factories import seconds
from tests.support.repository_steps import add, fill, new_flow, put_objects, read, stored, walk, write


def starts(segments: list[Segment]) -> list[float]:
    """Return the starts of Segments, in seconds."""
    return [segment.start / factories.SECOND for segment in segments]


def test_a_segment_is_read_as_it_was_stored(repository: Repository) -> None:
    flow = new_flow(repository)
    init = factories.init_object()
    media = factories.media_object("an/object with \U0001f4f9", init_object_id=init.id)
    put_objects(repository, init, media)
    segment = Segment(-5, 10, True, media.id, -3, 40, 0, 7, -2, 13, True, 3, init.id, 2**62)
    add(repository, flow, [segment])
    (found,) = stored(repository, flow)
    assert found == segment
    assert isinstance(found, Segment)
    assert (found.closed, found.object_closed) == (True, True)
    other = factories.segment(seconds(1, 2), media, registered=2**62 + 1)
    add(repository, flow, [other])
    assert stored(repository, flow)[1].closed is False


def test_a_page_holds_what_overlaps_wholly_or_partly_in_time_order(repository: Repository) -> None:
    flow = new_flow(repository)
    fill(repository, flow, [seconds(10, 20), seconds(0, 10), seconds(30, 40), seconds(-20, -10)])
    for timerange, expected in [
        (ETERNITY, [-20, 0, 10, 30]),
        (NEVER, []),
        (seconds(5, 5), []),
        (seconds(3, 4), [0]),
        (seconds(9, 11), [0, 10]),
        (seconds(10, 11), [10]),
        (seconds(20, 30), []),
        (seconds(19, 31), [10, 30]),
        (TimeRange(None, 0), [-20]),
        (TimeRange(None, 1), [-20, 0]),
        (TimeRange(20 * factories.SECOND, None), [30]),
        (TimeRange(20 * factories.SECOND - 1, None), [10, 30]),
        (seconds(40, 50), []),
        (seconds(-100, -20), []),
        (TimeRange(MIN_NS, MAX_NS), [-20, 0, 10, 30]),
    ]:
        assert starts(stored(repository, flow, timerange)) == expected, timerange
        backwards = read(
            repository,
            lambda snapshot, wanted=timerange: snapshot.segments(
                flow.flow_key, wanted, object_id=None, reverse=True, after=None, limit=10
            ),  # type: ignore[misc]
        )
        assert starts(backwards.items) == expected[::-1], timerange


@pytest.mark.parametrize("reverse", [False, True])
def test_pages_follow_one_another_without_gap_or_repetition(repository: Repository, reverse: bool) -> None:
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(n, n + 1) for n in range(25)])
    timerange = TimeRange(3 * factories.SECOND + 5, 20 * factories.SECOND + 5)
    expected = segments[3:21][:: -1 if reverse else 1]
    for limit in (1, 6, 18, 100):
        assert (
            walk(
                repository,
                lambda snapshot, after, size=limit: snapshot.segments(  # type: ignore[misc]
                    flow.flow_key, timerange, object_id=None, reverse=reverse, after=after, limit=size
                ),
            )
            == expected
        )


def test_segments_at_the_ends_of_time_can_be_stored_and_found(repository: Repository) -> None:
    flow = new_flow(repository)
    first, last = TimeRange(MIN_NS, MIN_NS + 1), TimeRange(MAX_NS - 1, MAX_NS)
    segments = fill(repository, flow, [first, last])
    assert stored(repository, flow) == segments
    assert stored(repository, flow, TimeRange(MAX_NS - 1, None)) == segments[1:]
    assert read(repository, lambda snapshot: snapshot.extent(flow.flow_key, ETERNITY)) == TimeRange(MIN_NS, MAX_NS)


def test_segments_of_one_object_can_be_asked_for(repository: Repository) -> None:
    flow = new_flow(repository)
    media = factories.media_object()
    fill(repository, flow, [seconds(n, n + 1) for n in range(0, 10, 2)])
    put_objects(repository, media)
    add(repository, flow, [factories.segment(seconds(n, n + 1), media, registered=n) for n in range(1, 10, 2)])
    with repository.read() as snapshot:
        page = snapshot.segments(flow.flow_key, seconds(3, 9), object_id=media.id, reverse=False, after=None, limit=2)
        assert starts(page.items) == [3, 5]
        rest = snapshot.segments(
            flow.flow_key, seconds(3, 9), object_id=media.id, reverse=False, after=page.next, limit=2
        )
        assert starts(rest.items) == [7]
        assert rest.next is None
        assert starts(
            snapshot.segments(flow.flow_key, ETERNITY, object_id=media.id, reverse=True, after=None, limit=2).items
        ) == [9, 7]
        assert (
            snapshot.segments(flow.flow_key, ETERNITY, object_id="unknown", reverse=False, after=None, limit=2).items
            == []
        )


def test_pages_stay_correct_while_segments_are_added_and_removed(repository: Repository) -> None:
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(n, n + 1) for n in range(0, 60, 2)])
    seen: list[Segment] = []
    after = None
    step = 0
    while True:
        with repository.read() as snapshot:
            page = snapshot.segments(flow.flow_key, ETERNITY, object_id=None, reverse=False, after=after, limit=4)
        seen += page.items
        if page.next is None:
            break
        after = page.next
        behind = seen[-1]
        write(repository, lambda tx, gone=behind: tx.remove_segments(flow.flow_key, [gone], at=999))  # type: ignore[misc]
        fill(repository, flow, [seconds(59 - 2 * step, 60 - 2 * step)], first=1000 + step)
        step += 1
    assert set(segments) <= set(seen)
    assert len(seen) == len(set(seen))
    assert starts(seen) == sorted(starts(seen))


def test_segments_within_a_range_lie_wholly_inside(repository: Repository) -> None:
    flow = new_flow(repository)
    init = factories.init_object()
    segments = fill(repository, flow, [seconds(n, n + 1) for n in range(6)])
    more = fill(repository, flow, [seconds(6, 7), seconds(7, 8)], init=init, first=100)
    with repository.read() as snapshot:
        key = flow.flow_key
        assert snapshot.segments_within(key, seconds(3.5, 4.5), 10) == []
        assert snapshot.segments_within(key, seconds(3, 5), 10) == segments[3:5]
        assert snapshot.segments_within(key, seconds(2.5, 4.5), 10) == segments[3:4]
        assert snapshot.segments_within(key, TimeRange(None, 2 * factories.SECOND), 10) == segments[:2]
        assert snapshot.segments_within(key, ETERNITY, 3) == segments[:3]
        assert snapshot.segments_within(key, NEVER, 3) == []
        assert snapshot.segments_within(key, ETERNITY, 9, registered_before=3) == segments[:2]
        assert snapshot.segments_within(key, ETERNITY, 9, init_object_id=init.id) == more
        assert snapshot.segments_within(key, ETERNITY, 9, object_id=more[1].object_id) == more[1:]
        assert snapshot.segments_within(key, ETERNITY, 9, object_id=more[1].object_id, registered_before=50) == []
        assert (
            snapshot.segments_within(key, ETERNITY, 9, object_id=more[1].object_id, init_object_id=init.id)
            == (more[1:])
        )


def test_overlaps_answers_for_each_range(repository: Repository) -> None:
    flow = new_flow(repository)
    assert read(repository, lambda snapshot: snapshot.overlaps(flow.flow_key, [])) == []
    assert read(repository, lambda snapshot: snapshot.overlaps(flow.flow_key, [seconds(0, 1)])) == [False]
    fill(repository, flow, [seconds(0, 10), seconds(20, 30)])
    ranges = [seconds(10, 20), seconds(9, 11), seconds(5, 6), seconds(30, 40), seconds(-5, 0), seconds(-5, 50), NEVER]
    expected = [False, True, True, False, False, True, False]
    assert read(repository, lambda snapshot: snapshot.overlaps(flow.flow_key, ranges)) == expected
    many = [seconds(n, n + 1) for n in range(500)]
    assert read(repository, lambda snapshot: snapshot.overlaps(flow.flow_key, many)) == [
        n < 10 or 20 <= n < 30 for n in range(500)
    ]


def test_the_extent_of_a_range_is_that_of_whole_segments(repository: Repository) -> None:
    flow = new_flow(repository)
    fill(repository, flow, [seconds(0, 10), seconds(20, 30), seconds(30, 40)])
    for timerange, expected in [
        (ETERNITY, seconds(0, 40)),
        (seconds(5, 6), seconds(0, 10)),
        (seconds(9, 21), seconds(0, 30)),
        (seconds(10, 20), None),
        (seconds(15, 35), seconds(20, 40)),
        (TimeRange(40 * factories.SECOND, None), None),
        (TimeRange(None, 0), None),
        (NEVER, None),
    ]:
        extent = read(repository, lambda snapshot, wanted=timerange: snapshot.extent(flow.flow_key, wanted))  # type: ignore[misc]
        assert extent == expected, timerange
    assert read(repository, lambda snapshot: snapshot.extent(1, ETERNITY)) is None


@pytest.mark.parametrize(
    "timerange", [seconds(0, 1), seconds(0.5, 1.5), seconds(-1, 0.5), seconds(-5, 5), seconds(0.2, 0.3)]
)
def test_segments_that_overlap_a_stored_one_are_refused(repository: Repository, timerange: TimeRange) -> None:
    flow = new_flow(repository)
    before = fill(repository, flow, [seconds(0, 1)])
    with pytest.raises(IntegrityBroken):
        fill(repository, flow, [seconds(50, 51), timerange])
    assert stored(repository, flow) == before


def test_segments_that_overlap_each_other_are_refused(repository: Repository) -> None:
    flow = new_flow(repository)
    with pytest.raises(IntegrityBroken):
        fill(repository, flow, [seconds(0, 2), seconds(5, 6), seconds(1, 3)])
    assert stored(repository, flow) == []


def test_segments_of_different_flows_may_overlap(repository: Repository) -> None:
    first, second = new_flow(repository), new_flow(repository)
    (segment,) = fill(repository, first, [seconds(0, 1)])
    add(repository, second, [segment])
    assert stored(repository, second) == [segment]


def test_a_segment_needs_a_registered_object(repository: Repository) -> None:
    flow = new_flow(repository)
    allocated, init = factories.allocation(to=flow.flow_key), factories.init_object()
    put_objects(repository, allocated, init)
    for object_id in (factories.uuid(), allocated.id, init.id):
        with pytest.raises(IntegrityBroken):
            add(repository, flow, [factories.segment(seconds(0, 1), object_id)])
    assert stored(repository, flow) == []


def test_a_segment_needs_its_flow_key(repository: Repository) -> None:
    media = factories.media_object()
    put_objects(repository, media)
    with pytest.raises(IntegrityBroken):
        write(repository, lambda tx: tx.add_segments(4711, [factories.segment(seconds(0, 1), media)]))


def test_removing_takes_only_what_is_there_unchanged(repository: Repository) -> None:
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(n, n + 1) for n in range(4)])
    other = segments[1]._replace(registered=77)
    absent = segments[2]._replace(start=segments[2].start + 1)
    removed = write(
        repository, lambda tx: tx.remove_segments(flow.flow_key, [segments[0], other, absent, segments[3]], at=500)
    )
    assert removed == [segments[0], segments[3]]
    assert stored(repository, flow) == segments[1:3]
    again = write(repository, lambda tx: tx.remove_segments(flow.flow_key, [segments[0]], at=900))
    assert again == []
    assert write(repository, lambda tx: tx.remove_segments(flow.flow_key, [], at=900)) == []
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert (stored_flow.count, stored_flow.segments_updated) == (2, 500)


def test_an_empty_list_of_segments_changes_nothing(repository: Repository) -> None:
    flow = new_flow(repository)
    add(repository, flow, [])
    assert read(repository, lambda snapshot: snapshot.flow(flow.id)) == flow
