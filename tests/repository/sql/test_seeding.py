"""Seeded Segments: the engine makes them itself, and they are like registered ones."""

from __future__ import annotations

import pytest

from tams.domain.errors import NotFound
from tams.domain.timerange import ETERNITY
from tams.repository.port import Repository
from tams.repository.sql import seeding
from tests.support import factories
from tests.support.databases import NewDatabase, engine
from tests.support.factories import STORAGE, seconds
from tests.support.repository_steps import fill, new_flow, open_repository, read


@pytest.fixture(params=[engine("sqlite"), engine("postgresql")])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database of an engine."""
    new: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return new()


def stored(repository: Repository, flow_id: str) -> list[str]:
    """Return the timeranges of a Flow's Segments, after asserting that each has an Object with a ready instance."""
    with repository.read() as snapshot:
        flow = snapshot.flow(flow_id)
        assert flow is not None
        segments = snapshot.segments(
            flow.flow_key, ETERNITY, object_id=None, reverse=False, after=None, limit=1000
        ).items
        objects = snapshot.objects([segment.object_id for segment in segments])
        instances = snapshot.instances(objects)
    assert flow.count == len(segments) == len(objects) == len(instances)
    for segment in segments:
        media = objects[segment.object_id]
        assert media.kind == "media"
        assert media.timerange == segment.timerange
        assert [instance.ready for instance in media.instances] == [True]
    return [str(segment.timerange) for segment in segments]


def test_segments_are_added_after_the_stored_ones(url: str) -> None:
    repository = open_repository(url)
    flow, empty = new_flow(repository), new_flow(repository)
    fill(repository, flow, [seconds(0, 3)])
    assert list(seeding.add_segments(url, [flow.id, empty.id], 2, STORAGE, now=10)) == [4]
    assert list(seeding.add_segments(url, [flow.id], 1, STORAGE, now=10)) == [1]
    seeding.renew_statistics(url)
    assert stored(repository, flow.id) == ["[0:0_3:0)", "[3:0_4:0)", "[4:0_5:0)", "[5:0_6:0)"]
    assert stored(repository, empty.id) == ["[0:0_1:0)", "[1:0_2:0)"]
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert stored_flow.segments_updated is not None
    assert stored_flow.segments_updated > flow.metadata_updated
    repository.close()


def test_large_numbers_are_added_in_several_transactions(url: str) -> None:
    repository = open_repository(url)
    flows = [new_flow(repository).id for _ in range(2)]
    assert list(seeding.add_segments(url, flows[:1], 50_001, STORAGE, now=10)) == [50_000, 1]
    assert list(seeding.add_segments(url, flows, 30_000, STORAGE, now=10)) == [30_000, 30_000]
    flows_by_id = read(repository, lambda snapshot: snapshot.flows_by_id(flows))
    assert [flows_by_id[flow_id].count for flow_id in flows] == [80_001, 30_000]
    assert flows_by_id[flows[0]].extent == seconds(0, 80_001)
    repository.close()


def test_the_flow_has_to_exist(url: str) -> None:
    with pytest.raises(NotFound):
        list(seeding.add_segments(url, [factories.uuid()], 1, STORAGE, now=10))
