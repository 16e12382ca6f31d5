"""Pages of Segments of any density: how many requests they take, and how many rows are read for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tams.domain.timerange import ETERNITY, NANOSECONDS, TimeRange
from tams.repository.vast import VastRepository
from tams.repository.vast.scan import density
from tests.support.repository_steps import read
from tests.support.vast_archive import costs_of_pages, loaded
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
    """One for all shapes."""
    with opened() as both:
        yield both


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_is_right_and_takes_few_requests_wherever_it_begins(
    cluster: tuple[Emulator, VastRepository], shape: str, reverse: bool
) -> None:
    emulator, repository = cluster
    starts = SHAPES[shape]
    flow = loaded(emulator, repository, starts)
    length = len(starts)
    for at in (0, 1, length // 3, length // 2, 9 * length // 10, length - 5):
        for limit in (1, 100, 1000):
            low, high = starts[0], starts[at] + 1
            wanted = starts[max(0, at + 1 - limit) : at + 1][::-1] if reverse else starts[at : at + limit]
            asked = (
                TimeRange(low * NANOSECONDS, high * NANOSECONDS)
                if reverse
                else TimeRange(starts[at] * NANOSECONDS, None)
            )
            with emulator.counting() as counts:
                page = read(
                    repository,
                    lambda snapshot, asked=asked, limit=limit: snapshot.segments(  # type: ignore[misc]
                        flow.flow_key, asked, object_id=None, reverse=reverse, after=None, limit=limit
                    ),
                )
            assert [each.start // NANOSECONDS for each in page.items] == wanted
            assert counts.total <= 8, (at, limit)
            assert counts.rows_sent <= 8 * (limit + 40), (at, limit)


def test_a_page_out_of_a_million_costs_what_one_out_of_ten_thousand_does() -> None:
    few, many = (costs_of_pages(count) for count in (10_000, 1_000_000))
    assert few.keys() == many.keys()
    for place, (requests, sent, looked_at) in many.items():
        assert requests <= 2 * few[place].requests, place
        assert sent <= 2 * few[place].rows_sent, place
        assert looked_at <= 2 * few[place].rows_looked_at, place


def test_filters_come_before_paging(cluster: tuple[Emulator, VastRepository]) -> None:
    emulator, repository = cluster
    flow = loaded(emulator, repository, list(range(50_000)))
    with emulator.counting() as counts:
        page = read(
            repository,
            lambda snapshot: snapshot.segments(
                flow.flow_key, ETERNITY, object_id="31337", reverse=False, after=None, limit=10
            ),
        )
    assert [each.start // NANOSECONDS for each in page.items] == [31337]
    assert counts.total <= 8


def test_a_sketch_is_small_and_keeps_large_gaps() -> None:
    starts = SHAPES["many, a gap of a year, and many again"]
    stretches: list[density.Bucket] = []
    for at in range(0, len(starts), 997):
        stretches = density.extend(stretches, [(start, start + 1) for start in starts[at : at + 997]])
    assert len(stretches) <= 64
    assert sum(each.segments for each in stretches) == len(starts)
    assert max(second.start - first.end for first, second in pairwise(stretches)) == YEAR
    assert density.parse(density.serialize(stretches)) == stretches
