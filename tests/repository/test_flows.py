"""Flows: a Flow is read as it was stored; extent, count and time of the last change follow its Segments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tams.domain.errors import IntegrityBroken
from tams.domain.timerange import ETERNITY, TimeRange
from tams.repository.port import Repository, Write
from tests.support import factories
from tests.support.factories import seconds
from tests.support.repository_steps import fill, new_flow, put_flows, put_sources, read, stored, write


def test_a_flow_is_read_as_it_was_stored(repository: Repository) -> None:
    collector = new_flow(repository)
    flow = factories.flow(
        source_id=collector.source_id,
        label="Camera 1 \U0001f4f9",
        tags={"genre": ["news", "sport"], "a.b/c": "\U0001f600"},
        collected_by=(collector.id,),
        custom={"nested": [1, 2.5, None, True, -(2**63)]},
        created=5,
        metadata_updated=7,
        segments_updated=9,
    )
    put_flows(repository, flow)
    assert read(repository, lambda snapshot: snapshot.flow(flow.id)) == flow


def test_an_unknown_flow_is_none(repository: Repository) -> None:
    assert read(repository, lambda snapshot: snapshot.flow(factories.uuid())) is None


def test_flows_by_id_are_those_that_exist(repository: Repository) -> None:
    first, second = new_flow(repository), new_flow(repository)
    flow_ids = [second.id, first.id, second.id, factories.uuid()]
    assert read(repository, lambda snapshot: snapshot.flows_by_id(flow_ids)) == {first.id: first, second.id: second}
    assert read(repository, lambda snapshot: snapshot.flows_by_id([])) == {}


def test_putting_a_flow_again_replaces_it(repository: Repository) -> None:
    flow = new_flow(repository, label="before", tags={"a": "1"})
    changed = replace(flow, metadata={**flow.metadata, "label": "after", "tags": {}}, metadata_updated=99)
    write(repository, lambda tx: tx.put_flow(changed))
    assert read(repository, lambda snapshot: snapshot.flow(flow.id)) == changed


def test_a_flow_may_move_to_another_source(repository: Repository) -> None:
    flow = new_flow(repository)
    other = factories.source()
    put_sources(repository, other)
    write(repository, lambda tx: tx.put_flow(replace(flow, source_id=other.id)))
    write(repository, lambda tx: tx.delete_source(flow.source_id))
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert stored_flow.source_id == other.id


def test_a_flow_needs_its_source(repository: Repository) -> None:
    with pytest.raises(IntegrityBroken):
        write(repository, lambda tx: tx.put_flow(factories.flow(source_id=factories.uuid())))


def test_extent_count_and_time_of_change_follow_the_segments(repository: Repository) -> None:
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(-2, -1), seconds(5, 6), seconds(0, 1)], first=100)
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert (stored_flow.extent, stored_flow.count, stored_flow.segments_updated) == (seconds(-2, 6), 3, 102)

    write(repository, lambda tx: tx.remove_segments(flow.flow_key, [segments[1]], at=200))
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert (stored_flow.extent, stored_flow.count, stored_flow.segments_updated) == (seconds(-2, 1), 2, 200)

    write(repository, lambda tx: tx.remove_segments(flow.flow_key, segments, at=201))
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert (stored_flow.extent, stored_flow.count, stored_flow.segments_updated) == (None, 0, 201)


def test_the_extent_is_printed_as_its_last_segment_was_registered(repository: Repository) -> None:
    flow = new_flow(repository)
    fill(repository, flow, [TimeRange(0, 10), TimeRange(10, 11, closed=True)])
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert str(stored_flow.extent) == "[0:0_0:10]"


def test_what_a_put_flow_says_of_its_segments_is_ignored(repository: Repository) -> None:
    flow = new_flow(repository)
    fill(repository, flow, [seconds(0, 1)], first=100)
    write(
        repository,
        lambda tx: tx.put_flow(replace(flow, extent=seconds(7, 8), count=5, segments_updated=1)),
    )
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow == replace(flow, extent=seconds(0, 1), count=1, segments_updated=100)


def test_deleting_a_flow_with_segments_is_refused(repository: Repository) -> None:
    flow = new_flow(repository)
    fill(repository, flow, [seconds(0, 1)])
    with pytest.raises(IntegrityBroken):
        write(repository, lambda tx: tx.delete_flow(flow.id))
    assert read(repository, lambda snapshot: snapshot.flow(flow.id)) is not None


def test_a_flow_without_segments_is_deleted(repository: Repository) -> None:
    flow = new_flow(repository, tags={"a": ["1", "2"]})
    segments = fill(repository, flow, [seconds(0, 1)])
    write(repository, lambda tx: tx.remove_segments(flow.flow_key, segments, at=9))
    write(repository, lambda tx: tx.delete_flow(flow.id))
    assert read(repository, lambda snapshot: snapshot.flow(flow.id)) is None
    write(repository, lambda tx: tx.delete_source(flow.source_id))
    assert read(repository, lambda snapshot: snapshot.source(flow.source_id)) is None


def test_a_detached_flow_is_in_no_result(repository: Repository) -> None:
    flow = new_flow(repository, label="gone", tags={"a": "1"})
    (segment,) = fill(repository, flow, [seconds(0, 1)])
    assert read(repository, lambda snapshot: snapshot.flow_of_key(flow.flow_key)) == read(
        repository, lambda snapshot: snapshot.flow(flow.id)
    )
    assert read(repository, lambda snapshot: snapshot.flow_of_key(flow.flow_key + 1)) is None
    write(repository, lambda tx: tx.detach_flow(flow.id))
    assert read(repository, lambda snapshot: snapshot.flow_of_key(flow.flow_key)) is None
    with repository.read() as snapshot:
        assert snapshot.flow(flow.id) is None
        assert snapshot.flows_by_id([flow.id]) == {}
        assert snapshot.references(segment.object_id).items == []
        assert snapshot.count_up_to("flows of source", flow.source_id, 10) == 0


def test_segments_of_a_detached_flow_stay_under_its_key(repository: Repository) -> None:
    flow = new_flow(repository)
    segments = fill(repository, flow, [seconds(0, 1), seconds(1, 2)])
    write(repository, lambda tx: tx.detach_flow(flow.id))
    assert stored(repository, flow) == segments
    with repository.read() as snapshot:
        assert snapshot.still_referenced([segments[0].object_id]) == {segments[0].object_id}
        assert snapshot.segments_within(flow.flow_key, ETERNITY, 1) == segments[:1]
    with pytest.raises(IntegrityBroken):
        write(repository, lambda tx: tx.end_flow_key(flow.flow_key))
    write(repository, lambda tx: tx.remove_segments(flow.flow_key, segments, at=9))
    write(repository, lambda tx: tx.end_flow_key(flow.flow_key))
    write(repository, lambda tx: tx.end_flow_key(flow.flow_key))
    assert stored(repository, flow) == []


def test_a_new_flow_of_the_same_id_never_meets_the_segments_of_its_predecessor(repository: Repository) -> None:
    before = new_flow(repository)
    segments = fill(repository, before, [seconds(0, 1)])
    after = factories.flow(before.id, source_id=before.source_id)

    def replace_flow(tx: Write) -> None:
        tx.detach_flow(before.id)
        tx.put_flow(after)

    write(repository, replace_flow)
    fresh = fill(repository, after, [seconds(0, 2)])
    assert stored(repository, after) == fresh
    assert stored(repository, before) == segments
    write(repository, lambda tx: tx.remove_segments(before.flow_key, segments, at=9))
    flow = read(repository, lambda snapshot: snapshot.flow(before.id))
    assert flow is not None
    assert (flow.count, flow.extent) == (1, seconds(0, 2))


def test_init_use_tells_which_kinds_of_segments_there_are(repository: Repository) -> None:
    flow = new_flow(repository)
    assert read(repository, lambda snapshot: snapshot.init_use(flow.flow_key)) == (False, False)
    without = fill(repository, flow, [seconds(0, 1)])
    assert read(repository, lambda snapshot: snapshot.init_use(flow.flow_key)) == (False, True)
    fill(repository, flow, [seconds(1, 2)], init=factories.init_object(), first=50)
    assert read(repository, lambda snapshot: snapshot.init_use(flow.flow_key)) == (True, True)
    write(repository, lambda tx: tx.remove_segments(flow.flow_key, without, at=99))
    assert read(repository, lambda snapshot: snapshot.init_use(flow.flow_key)) == (True, False)
    assert read(repository, lambda snapshot: snapshot.init_use(12345)) == (False, False)
