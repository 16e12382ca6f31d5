"""Pages of Segments of any density: how many requests they take, and how many rows are read for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa
import pytest

from tams.domain.flows import Flow
from tams.domain.timerange import ETERNITY, NANOSECONDS, TimeRange
from tams.repository.vast import VastRepository, sketch
from tams.repository.vast.connection import Cluster
from tams.repository.vast.tables import FLOWS, SEGMENTS
from tams.repository.vast.terms import equal
from tests.repository.steps import new_flow, read
from tests.repository.vast.steps import SCHEMA, address_of, opened, url_of
from tests.vast_emulator.emulator import Emulator

DAY, YEAR = 86_400, 366 * 86_400
SHAPES: dict[str, list[int]] = {
    "one a second": list(range(100_000)),
    "one a day": list(range(0, 3000 * DAY, DAY)),
    "many, a gap of a year, and many again": [*range(300_000), *range(300_000 + YEAR, 330_000 + YEAR)],
    "bursts": [hour * 3600 + n for hour in range(2000) for n in range(20)],
}


def loaded(emulator: Emulator, repository: VastRepository, starts: list[int]) -> Flow:
    """A Flow with a Segment of one second at each start, as if they had been registered a thousand at a time."""
    flow = new_flow(repository)
    count = len(starts)
    low = pa.array(starts, type=pa.int64())
    columns = {
        "flow_key": pa.repeat(pa.scalar(flow.key, pa.int64()), count),
        "start_ns": pa.compute.multiply(low, NANOSECONDS),
        "end_ns": pa.compute.add(pa.compute.multiply(low, NANOSECONDS), NANOSECONDS),
        "object_id": pa.compute.cast(low, pa.utf8()),
        "registered": low,
    }
    false = pa.repeat(pa.scalar(False), count)
    columns.update(closed=false, object_closed=false, object_start=low, object_end=low)
    arrays = [
        columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in SEGMENTS.columns
    ]
    emulator.load(SCHEMA, "segments", pa.Table.from_arrays(arrays, schema=SEGMENTS.columns))
    stretches: list[sketch.Stretch] = []
    for at in range(0, count, 1000):
        batch = [(start * NANOSECONDS, (start + 1) * NANOSECONDS) for start in starts[at : at + 1000]]
        stretches = sketch.extended(stretches, batch)
    snapshot = Cluster(address_of(url_of(emulator.endpoint))).begin()
    (row,) = snapshot.rows(FLOWS, FLOWS.columns.names, [equal("key", flow.key)], row_ids=True)
    row.update(
        segment_count=count,
        first_start=starts[0] * NANOSECONDS,
        last_end=(starts[-1] + 1) * NANOSECONDS,
        last_closed=False,
        longest=NANOSECONDS,
        sketch=sketch.written(stretches),
    )
    snapshot.update(FLOWS, [(row["$row_id"], row)])
    snapshot.commit()
    return flow


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
                        flow.key, asked, None, reverse, None, limit
                    ),
                )
            assert [each.start // NANOSECONDS for each in page.items] == wanted
            assert counts.total <= 8, (at, limit)
            assert counts.rows_sent <= 8 * (limit + 40), (at, limit)


def test_a_page_out_of_a_hundred_times_as_many_reads_no_more_rows(
    cluster: tuple[Emulator, VastRepository],
) -> None:
    emulator, repository = cluster
    sent = []
    for count in (10_000, 1_000_000):
        flow = loaded(emulator, repository, list(range(count)))
        asked = TimeRange(count // 2 * NANOSECONDS, None)
        with emulator.counting() as counts:
            page = read(
                repository,
                lambda snapshot, asked=asked, key=flow.key: snapshot.segments(  # type: ignore[misc]
                    key, asked, None, False, None, 100
                ),
            )
        assert len(page.items) == 100
        sent.append(counts.rows_sent)
    assert sent[1] <= 2 * sent[0]


def test_filters_come_before_paging(cluster: tuple[Emulator, VastRepository]) -> None:
    emulator, repository = cluster
    flow = loaded(emulator, repository, list(range(50_000)))
    with emulator.counting() as counts:
        page = read(repository, lambda snapshot: snapshot.segments(flow.key, ETERNITY, "31337", False, None, 10))
    assert [each.start // NANOSECONDS for each in page.items] == [31337]
    assert counts.total <= 8


def test_a_sketch_is_small_and_keeps_large_gaps() -> None:
    starts = SHAPES["many, a gap of a year, and many again"]
    stretches: list[sketch.Stretch] = []
    for at in range(0, len(starts), 997):
        stretches = sketch.extended(stretches, [(start, start + 1) for start in starts[at : at + 997]])
    assert len(stretches) <= 64
    assert sum(each.held for each in stretches) == len(starts)
    assert max(second.first - first.last for first, second in pairwise(stretches)) == YEAR
    assert sketch.read(sketch.written(stretches)) == stretches
