"""The blocks that PostgreSQL reads for a page of any listing do not grow with twenty times as many resources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tams.domain.events import Delivery
from tams.domain.filters import FlowFilter, SourceFilter, TagFilter
from tams.domain.flows import Flow
from tams.domain.objects import Object
from tams.domain.timerange import ETERNITY, NEVER, TimeRange
from tams.repository.port import Document, Job, Repository
from tams.repository.sql import SqlRepository, jobs, listing, seeding
from tams.repository.sql.engine import Database
from tams.repository.sql.transaction import SqlWrite
from tests.support import factories
from tests.support.databases import NewDatabase
from tests.support.factories import SECOND, START_OF_2026, STORAGE, seconds
from tests.support.query_plans import Cost, cost
from tests.support.repository_steps import write

FEW, MANY = 200, 4_000
LIMIT = 20
SHARED = "shared"
COLLECTOR = "00000000-0000-4000-8000-000000000000"
Question = Callable[[SqlWrite], Any]

PLACE = ("place", ("London", "Leeds"))
TAGS = {
    "no tags": TagFilter(),
    "a tag": TagFilter(any_of=(("place", ("London",)),)),
    "either value of a tag": TagFilter(any_of=(PLACE,)),
    "two tags": TagFilter(any_of=(PLACE, ("quality", ("high",)))),
    "a tag that exists": TagFilter(exists=(("quality", True),)),
    "a tag that does not exist": TagFilter(any_of=(PLACE,), exists=(("secret", False),)),
}
FLOW_FILTERS = {
    **{name: FlowFilter(tags=tags) for name, tags in TAGS.items()},
    "a Source": FlowFilter(source_id=COLLECTOR),
    "a label": FlowFilter(label="take 3"),
    "a format and a codec": FlowFilter(format=factories.VIDEO, codec="video/h264"),
    "a frame size": FlowFilter(frame_width=1920, frame_height=1080),
    "a collector": FlowFilter(collected_by=(COLLECTOR,)),
    "several collectors": FlowFilter(collected_by=(COLLECTOR, factories.uuid())),
    "no collector": FlowFilter(collected_by=()),
    "content": FlowFilter(timerange=seconds(0, 1)),
    "content until a time": FlowFilter(timerange=TimeRange(None, SECOND)),
    "content and a tag": FlowFilter(timerange=TimeRange(SECOND, None), tags=TAGS["a tag"]),
    "no content": FlowFilter(timerange=NEVER),
}
SOURCE_FILTERS = {
    **{name: SourceFilter(tags=tags) for name, tags in TAGS.items()},
    "a label": SourceFilter(label="take 3"),
    "a format": SourceFilter(format=factories.VIDEO),
    "a collector": SourceFilter(collected_by=(COLLECTOR,)),
    "no collector": SourceFilter(collected_by=()),
}
ORDERS = {"flows": ("created", "metadata_updated", "label"), "sources": ("created", "updated", "label")}


def listed(what: str, where: Any, order: Any, *, reverse: bool = False) -> Question:
    """Read the first page and the second of a listing of Flows or Sources."""

    def ask(tx: SqlWrite) -> None:
        pages = tx.list_flows if what == "flows" else tx.list_sources
        first = pages(where, order=order, reverse=reverse, after=None, limit=LIMIT)
        if first.next is not None:
            pages(where, order=order, reverse=reverse, after=first.next, limit=LIMIT)

    return ask


def walked(page: Callable[[SqlWrite, str | None], Any]) -> Question:
    """Read the first page and the second of another listing, which has at least two."""

    def ask(tx: SqlWrite) -> None:
        first = page(tx, None)
        assert first.next is not None
        page(tx, first.next)

    return ask


QUESTIONS: dict[str, Question] = {
    **{
        f"flows with {name}, by {order}": listed("flows", where, order)
        for name, where in FLOW_FILTERS.items()
        for order in ORDERS["flows"]
    },
    **{f"flows by {order}, backwards": listed("flows", FlowFilter(), order, reverse=True) for order in ORDERS["flows"]},
    **{
        f"sources with {name}, by {order}": listed("sources", where, order)
        for name, where in SOURCE_FILTERS.items()
        for order in ORDERS["sources"]
    },
    **{
        f"sources by {order}, backwards": listed("sources", SourceFilter(), order, reverse=True)
        for order in ORDERS["sources"]
    },
    "flow": lambda tx: tx.flow(COLLECTOR),
    "flows by id": lambda tx: tx.flows_by_id([COLLECTOR, "none"]),
    "source": lambda tx: tx.source(COLLECTOR),
    "sources by id": lambda tx: tx.sources_by_id([COLLECTOR, "none"]),
    "init use": lambda tx: tx.init_use(1),
    "objects": lambda tx: tx.objects(["allocated-00007", SHARED]),
    "instances": lambda tx: tx.instances(["allocated-00007", SHARED]),
    "still referenced": lambda tx: tx.still_referenced(["allocated-00007", SHARED]),
    "references": lambda tx: tx.references(SHARED),
    "references with a tag": lambda tx: tx.references(SHARED, flow_tags=TAGS["two tags"]),
    "allocations": walked(lambda tx, after: tx.allocations_before(2 * START_OF_2026, after=after, limit=LIMIT)),
    "instances of a backend": walked(lambda tx, after: tx.instances_of(STORAGE, after=after, limit=LIMIT)),
    "keys known": lambda tx: tx.keys_known(STORAGE, ["allocated/00007", "none"]),
    "flows of a source, counted": lambda tx: tx.count_up_to("flows of source", COLLECTOR, LIMIT),
    "segments of an object, counted": lambda tx: tx.count_up_to("segments of object", SHARED, LIMIT),
    "documents of a kind, counted": lambda tx: tx.count_up_to("documents of kind", "webhook", LIMIT),
    "deliveries, counted": lambda tx: tx.count_up_to("deliveries of webhook", "w", LIMIT),
    "outbox, counted": lambda tx: tx.count_up_to("events in outbox", "", LIMIT),
    "document": lambda tx: tx.document("webhook", "00007"),
    "documents": walked(
        lambda tx, after: tx.list_documents("webhook", order="order", where={}, reverse=False, after=after, limit=LIMIT)
    ),
    "documents backwards": walked(
        lambda tx, after: tx.list_documents("webhook", order="order", where={}, reverse=True, after=after, limit=LIMIT)
    ),
    "documents of a key": walked(
        lambda tx, after: tx.list_documents(
            "webhook", order="order", where={"state": "on"}, reverse=False, after=after, limit=LIMIT
        )
    ),
    "documents of tags": walked(
        lambda tx, after: tx.list_documents(
            "webhook", order="order", where={}, reverse=False, after=after, limit=LIMIT, tags=TAGS["two tags"]
        )
    ),
    "queued": lambda tx: tx.queued("copy", ["00007", "none"]),
    "jobs that are due": lambda tx: jobs.any_due(tx._session, "copy"),
    "leasing": lambda tx: jobs.lease(tx._session, "copy", "worker", LIMIT, 60),
    "taking events": lambda tx: tx.take_events(LIMIT),
    "deliveries": lambda tx: tx.deliveries("w", LIMIT),
    "dropping deliveries": lambda tx: tx.drop_deliveries("w", LIMIT),
    "within, of an object": lambda tx: tx.segments_within(1, ETERNITY, LIMIT, object_id=SHARED),
    "within, of an init object": lambda tx: tx.segments_within(1, ETERNITY, LIMIT, init_object_id="init"),
}


def grow(repository: Repository, url: str, first: int, end: int) -> None:
    """Add resources of each kind, numbered from `first` to before `end`."""
    for begin in range(first, end, 200):
        write(repository, lambda tx, begin=begin: put(tx, range(begin, min(end, begin + 200))))  # type: ignore[misc]
    with_content = [flow_id(number) for number in range(first, end) if number % 2]
    for _ in seeding.add_segments(url, with_content, 3, STORAGE, now=10):
        pass
    seeding.renew_statistics(url)


def flow_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def put(tx: Any, numbers: range) -> None:
    """Put resources of each kind, one for each number."""
    for number in numbers:
        tags = {"place": ("London", "Leeds", "Salford")[number % 3], "number": str(number)}
        if number % 2:
            tags["quality"] = "high"
        fields: dict[str, Any] = {"label": f"take {number % 5}", "tags": tags, "created": START_OF_2026 + number}
        collected = (COLLECTOR,) if number % 4 == 1 else ()
        tx.put_source(factories.source(flow_id(number), collected_by=collected, **fields))
        tx.put_flow(flow_of(number, collected, fields))
        name = f"{number:05}"
        instance = factories.instance(f"allocated/{name}")
        tx.put_objects([Object(f"allocated-{name}", START_OF_2026 + number, (instance,), allocated_to=1)])
        keys = {"order": name, "state": "on" if number % 2 else "off"}
        tx.put_document(Document("webhook", name, {}, keys, tags))
        tx.enqueue([Job("copy", name, {}, due=number)])
        tx.append_events([factories.event(created=number)])
        tx.add_deliveries([Delivery("w", number, factories.event(created=number))])
    if numbers[0] == 0:
        tx.put_objects([factories.init_object("init"), factories.media_object(SHARED, init_object_id="init")])
        shared = [factories.segment(seconds(n, n + 1), SHARED, init_object_id="init") for n in range(10, 40)]
        tx.add_segments(1, shared)


def flow_of(number: int, collected: tuple[str, ...], fields: dict[str, Any]) -> Flow:
    """Return a Flow; every fourth belongs to one Source."""
    source_id = COLLECTOR if number % 4 == 0 else flow_id(number)
    return factories.flow(flow_id(number), source_id=source_id, key=number + 1, collected_by=collected, **fields)


@pytest.fixture(scope="module")
def costs(new_postgresql: NewDatabase) -> Iterator[dict[str, tuple[Cost, Cost]]]:
    """Return the costs of each query among few resources and among many."""
    # The rarest facet is found by counting up to a cap, which here is reached among few resources as among many.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(listing, "_COUNT_CAP", FEW // 4)
    url = new_postgresql()
    repository, database = SqlRepository(url), Database(url)
    grow(repository, url, 0, FEW)
    few = {name: cost(database, question) for name, question in QUESTIONS.items()}
    grow(repository, url, FEW, MANY)
    yield {name: (few[name], cost(database, question)) for name, question in QUESTIONS.items()}
    repository.close()
    database.close()
    monkeypatch.undo()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_query_costs_as_much_among_many_resources_as_among_few(
    costs: dict[str, tuple[Cost, Cost]], name: str
) -> None:
    few, many = costs[name]
    assert many.rows <= 1.2 * few.rows + 5
    assert many.buffers <= 1.5 * few.buffers + 20
