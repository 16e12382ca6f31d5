"""Limits on the requests to the cluster for the most frequent reads and writes. Counts hold on any machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tams.domain.identifiers import new_id
from tams.domain.timerange import ETERNITY
from tams.repository.port import Key, Read, Write
from tams.repository.vast import VastRepository
from tests.support import factories
from tests.support.factories import seconds
from tests.support.repository_steps import fill, new_flow, put_objects, read
from tests.support.vast_clusters import opened
from tools.vast_emulator.emulator import Emulator

pytestmark = pytest.mark.vast


@pytest.fixture
def emulator_and_repository() -> Iterator[tuple[Emulator, VastRepository]]:
    """Yield a cluster without faults, and a repository that has loaded the metadata of the tables."""
    with opened() as (emulator, repository):
        fill(repository, new_flow(repository), [seconds(0, 1)])
        repository.write(new_id(), lambda tx: tx.append_events([factories.event()]))
        read(repository, lambda snapshot: snapshot.count_up_to("documents of kind", "webhook", 1))
        yield emulator, repository


def test_a_flow_takes_at_most_three_requests(emulator_and_repository: tuple[Emulator, VastRepository]) -> None:
    emulator, repository = emulator_and_repository
    flow = new_flow(repository)
    with emulator.counting() as counts:
        assert read(repository, lambda snapshot: snapshot.flow(flow.id)) == flow
    assert counts.total <= 3


def test_a_page_of_segments_takes_at_most_eight_requests(
    emulator_and_repository: tuple[Emulator, VastRepository],
) -> None:
    emulator, repository = emulator_and_repository
    flow = new_flow(repository)
    fill(repository, flow, [seconds(n, n + 1) for n in range(500)])

    def page(snapshot: Read) -> int:
        stored_flow = snapshot.flow(flow.id)
        assert stored_flow is not None
        items = snapshot.segments(
            stored_flow.flow_key, ETERNITY, object_id=None, reverse=False, after=None, limit=100
        ).items
        return len(snapshot.instances({segment.object_id for segment in items}))

    with emulator.counting() as counts:
        assert read(repository, page) == 100
    assert counts.total <= 8


@pytest.mark.parametrize("allocated", [False, True])
def test_registering_a_thousand_segments_takes_at_most_twenty_requests(
    emulator_and_repository: tuple[Emulator, VastRepository], allocated: bool
) -> None:
    emulator, repository = emulator_and_repository
    flow = new_flow(repository)
    fill(repository, flow, [seconds(-1, 0)])
    media = [factories.media_object(instances=()) for _ in range(1000)]
    if allocated:
        allocations = [factories.allocation(to=flow.flow_key) for _ in range(1000)]
        put_objects(repository, *allocations)
        media = [factories.media_object(allocation.id, instances=allocation.instances) for allocation in allocations]

    def transact(tx: Write) -> None:
        keys: list[Key] = [("flow", flow.id), *(("object", media_object.id) for media_object in media)]
        tx.claim(*keys)
        assert tx.flow(flow.id) is not None
        tx.objects([media_object.id for media_object in media])
        ranges = [seconds(n, n + 1) for n in range(1000)]
        assert not any(tx.overlaps(flow.flow_key, ranges))
        tx.put_objects(media)
        segments = [factories.segment(*pair) for pair in zip(ranges, media, strict=True)]
        tx.add_segments(flow.flow_key, segments)
        if tx.count_up_to("documents of kind", "webhook", 1) == 0:
            tx.append_events([factories.event()])

    with emulator.counting() as counts:
        repository.write(new_id(), transact)
    assert counts.total <= 20, counts.requests
    assert len(fill(repository, flow, [seconds(2000, 2001)])) == 1
