"""Pages of Segments of any density: limits on their requests and on the rows that they read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tams.domain.timerange import ETERNITY, NANOSECONDS, TimeRange
from tams.repository.vast import VastRepository
from tams.repository.vast.scan import density
from tests.support.repository_steps import read
from tests.support.vast_archive import costs_of_pages, load_flow
from tests.support.vast_clusters import opened
from tools.vast_emulator.emulator import Emulator

pytestmark = pytest.mark.vast

DAY, YEAR = 86_400, 366 * 86_400
SHAPES: dict[str, list[int]] = {
    "one a second": list(range(100_000)),
    "one a day": list(range(0, 3000 * DAY, DAY)),
    "many, a gap of a year, and many again": [*range(300_000), *range(300_000 + YEAR, 330_000 + YEAR)],
    "bursts": [hour * 3600 + n for hour in range(2000) for n in range(20)],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Emulator, VastRepository]]:
    """Yield one cluster for all shapes."""
    with opened() as pair:
        yield pair


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_from_any_place_is_right_and_takes_few_requests(
    cluster: tuple[Emulator, VastRepository], shape: str, reverse: bool
) -> None:
    emulator, repository = cluster
    starts = SHAPES[shape]
    flow = load_flow(emulator, repository, starts)
    length = len(starts)
    for at in (0, 1, length // 3, length // 2, 9 * length // 10, length - 5):
        for limit in (1, 100, 1000):
            low, high = starts[0], starts[at] + 1
            expected = starts[max(0, at + 1 - limit) : at + 1][::-1] if reverse else starts[at : at + limit]
            timerange = (
                TimeRange(low * NANOSECONDS, high * NANOSECONDS)
                if reverse
                else TimeRange(starts[at] * NANOSECONDS, None)
            )
            with emulator.counting() as counts:
                page = read(
                    repository,
                    lambda snapshot, timerange=timerange, limit=limit: snapshot.segments(  # type: ignore[misc]
                        flow.flow_key, timerange, object_id=None, reverse=reverse, after=None, limit=limit
                    ),
                )
            assert [segment.start // NANOSECONDS for segment in page.items] == expected
            assert counts.total <= 8, (at, limit)
            assert counts.rows_sent <= 8 * (limit + 40), (at, limit)


def test_the_cost_of_a_page_does_not_grow_with_the_flow() -> None:
    few, many = (costs_of_pages(count) for count in (10_000, 1_000_000))
    assert few.keys() == many.keys()
    for place, (requests, sent, looked_at) in many.items():
        assert requests <= 2 * few[place].requests, place
        assert sent <= 2 * few[place].rows_sent, place
        assert looked_at <= 2 * few[place].rows_looked_at, place


def test_filters_apply_before_paging(cluster: tuple[Emulator, VastRepository]) -> None:
    emulator, repository = cluster
    flow = load_flow(emulator, repository, list(range(50_000)))
    with emulator.counting() as counts:
        page = read(
            repository,
            lambda snapshot: snapshot.segments(
                flow.flow_key, ETERNITY, object_id="31337", reverse=False, after=None, limit=10
            ),
        )
    assert [segment.start // NANOSECONDS for segment in page.items] == [31337]
    assert counts.total <= 8


def test_a_density_histogram_is_small_and_keeps_large_gaps() -> None:
    starts = SHAPES["many, a gap of a year, and many again"]
    buckets: list[density.Bucket] = []
    for at in range(0, len(starts), 997):
        buckets = density.extend(buckets, [(start, start + 1) for start in starts[at : at + 997]])
    assert len(buckets) <= 64
    assert sum(bucket.segments for bucket in buckets) == len(starts)
    assert max(second.start - first.end for first, second in pairwise(buckets)) == YEAR
    assert density.parse(density.serialize(buckets)) == buckets
