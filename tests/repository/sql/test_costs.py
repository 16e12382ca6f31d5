"""The blocks that PostgreSQL reads for a page do not grow if the Flow has a hundred times as many Segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tams.domain.filters import FlowFilter
from tams.domain.flows import Flow
from tams.domain.timerange import ETERNITY, TimeRange
from tams.repository.port import Read
from tams.repository.sql import SqlRepository, seeding
from tams.repository.sql.engine import Database
from tests.support.databases import NewDatabase
from tests.support.factories import SECOND, STORAGE, seconds
from tests.support.query_plans import cost
from tests.support.repository_steps import new_flow

SMALL, LARGE = 2_000, 200_000
LIMIT = 100


@pytest.fixture(scope="module")
def flows(new_postgresql: NewDatabase) -> Iterator[tuple[Database, Flow, Flow]]:
    """Return a small Flow and a large one."""
    url = new_postgresql()
    repository = SqlRepository(url)
    small, large = new_flow(repository), new_flow(repository)
    for flow, count in ((small, SMALL), (large, LARGE)):
        for _ in seeding.add_segments(url, [flow.id], count, STORAGE, now=10):
            pass
    seeding.renew_statistics(url)
    repository.close()
    database = Database(url)
    yield database, small, large
    database.close()


def page(flow: Flow, within: TimeRange, *, reverse: bool = False, after: int | None = None) -> Callable[[Read], Any]:
    cursor = None if after is None else str(after * SECOND)
    return lambda snapshot: snapshot.segments(
        flow.flow_key, within, object_id=None, reverse=reverse, after=cursor, limit=LIMIT
    )


def of_object(flow: Flow, number: int) -> Callable[[Read], Any]:
    name = f"{flow.flow_key:016x}-{number:016x}"
    return lambda snapshot: snapshot.segments(
        flow.flow_key, ETERNITY, object_id=name, reverse=False, after=None, limit=LIMIT
    )


QUESTIONS: dict[str, Callable[[Flow, int], Callable[[Read], Any]]] = {
    "begin": lambda flow, size: page(flow, ETERNITY),
    "middle": lambda flow, size: page(flow, seconds(size // 2, size // 2 + 50)),
    "end": lambda flow, size: page(flow, seconds(size - 50, size + 50)),
    "from the middle on": lambda flow, size: page(flow, TimeRange(size // 2 * SECOND, None)),
    "up to the middle": lambda flow, size: page(flow, TimeRange(None, size // 2 * SECOND)),
    "up to the middle, backwards": lambda flow, size: page(flow, TimeRange(None, size // 2 * SECOND), reverse=True),
    "from the middle on, backwards": lambda flow, size: page(flow, TimeRange(size // 2 * SECOND, None), reverse=True),
    "backwards": lambda flow, size: page(flow, ETERNITY, reverse=True),
    "next page": lambda flow, size: page(flow, ETERNITY, after=size // 2),
    "next page backwards": lambda flow, size: page(flow, ETERNITY, reverse=True, after=size // 2),
    "of an Object": lambda flow, size: of_object(flow, size // 2),
    "overlaps": lambda flow, size: (
        lambda snapshot: snapshot.overlaps(flow.flow_key, [seconds(size // 2, size // 2 + 1), seconds(size, size + 1)])
    ),
    "extent": lambda flow, size: lambda snapshot: snapshot.extent(flow.flow_key, seconds(size // 4, size // 2)),
    "within": lambda flow, size: lambda snapshot: snapshot.segments_within(flow.flow_key, seconds(9, size - 9), LIMIT),
    "flow": lambda flow, size: lambda snapshot: snapshot.flow(flow.id),
    "flows with content": lambda flow, size: (
        lambda snapshot: snapshot.list_flows(
            FlowFilter(source_id=flow.source_id, timerange=seconds(size // 2, size)),
            order="created",
            reverse=False,
            after=None,
            limit=LIMIT,
        )
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_query_costs_as_much_in_a_large_flow_as_in_a_small_one(flows: tuple[Database, Flow, Flow], name: str) -> None:
    database, small, large = flows
    in_small = cost(database, QUESTIONS[name](small, SMALL))
    in_large = cost(database, QUESTIONS[name](large, LARGE))
    # Rows are spread over blocks of the table by chance, and a larger index has one more level.
    assert in_large.rows <= 1.2 * in_small.rows + 5
    assert in_large.buffers <= 1.5 * in_small.buffers + 20
