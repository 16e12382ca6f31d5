"""Query plans: every query reads ranges of indexes; none scans a table or sorts a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event

from tams.domain.events import Delivery
from tams.domain.filters import FlowFilter, SourceFilter, TagFilter
from tams.domain.timerange import ETERNITY, NEVER, TimeRange
from tams.repository.port import Document, Job, Read
from tams.repository.sql import SqlRepository
from tests.support import factories
from tests.support.databases import NewDatabase
from tests.support.factories import SECOND, seconds
from tests.support.repository_steps import fill, new_flow, read, write


@pytest.fixture
def traced(new_sqlite: NewDatabase) -> Iterator[tuple[SqlRepository, list[str]]]:
    """Yield a repository with a Flow of 50 Segments, and the statements it runs on SQLite, with their values."""
    url = new_sqlite()
    filling = SqlRepository(url)
    flow = new_flow(filling, flow_id="f", key=7, tags={"a": "1", "b": ["2", "3"]}, label="x")
    fill(filling, flow, [seconds(n, n + 1) for n in range(50)], init=factories.init_object("init"))
    write(filling, lambda tx: tx.put_document(Document("k", "1", {}, {"order": "1", "a": "b"})))
    filling.close()
    repository = SqlRepository(url)
    statements: list[str] = []
    event.listen(
        repository._database.engine, "connect", lambda connection, _: connection.set_trace_callback(statements.append)
    )
    yield repository, statements
    repository.close()


def plans(repository: SqlRepository, statements: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each step of the plan of each statement that was run."""
    said = [each for each in statements if re.match(r"SELECT|WITH|INSERT|UPDATE|DELETE", each)]
    assert said
    connection = repository._database.engine.raw_connection()
    for each in said:
        for step in connection.execute("EXPLAIN QUERY PLAN " + each).fetchall():
            yield each, step[3]
    connection.close()


TAGS = TagFilter(any_of=(("a", ("1",)), ("b", ("2", "3"))), exists=(("a", True), ("c", False)))
QUESTIONS: dict[str, Callable[[Read], object]] = {
    "flow": lambda snapshot: snapshot.flow("f"),
    "flows by id": lambda snapshot: snapshot.flows_by_id(["f", "g"]),
    "source": lambda snapshot: snapshot.source("s"),
    "page": lambda snapshot: snapshot.segments(7, ETERNITY, object_id=None, reverse=False, after=None, limit=5),
    "page of a range": lambda snapshot: snapshot.segments(
        7, seconds(3, 9), object_id=None, reverse=False, after=None, limit=5
    ),
    "next page": lambda snapshot: snapshot.segments(
        7, seconds(3, 9), object_id=None, reverse=False, after=str(4 * SECOND), limit=5
    ),
    "page backwards": lambda snapshot: snapshot.segments(
        7, seconds(3, 9), object_id=None, reverse=True, after=None, limit=5
    ),
    "page from a time on": lambda snapshot: snapshot.segments(
        7, TimeRange(SECOND, None), object_id=None, reverse=False, after=None, limit=5
    ),
    "page up to a time": lambda snapshot: snapshot.segments(
        7, TimeRange(None, SECOND), object_id=None, reverse=False, after=None, limit=5
    ),
    "page up to a time, backwards": lambda snapshot: snapshot.segments(
        7, TimeRange(None, SECOND), object_id=None, reverse=True, after=None, limit=5
    ),
    "page of an object": lambda snapshot: snapshot.segments(
        7, ETERNITY, object_id="o", reverse=False, after=None, limit=5
    ),
    "within": lambda snapshot: snapshot.segments_within(7, seconds(3, 9), 5),
    "within, of an object": lambda snapshot: snapshot.segments_within(7, ETERNITY, 5, object_id="o"),
    "within, of an init object": lambda snapshot: snapshot.segments_within(7, ETERNITY, 5, init_object_id="init"),
    "overlaps": lambda snapshot: snapshot.overlaps(7, [seconds(0, 1), seconds(70, 71)]),
    "extent": lambda snapshot: snapshot.extent(7, seconds(3, 9)),
    "init use": lambda snapshot: snapshot.init_use(7),
    "objects": lambda snapshot: snapshot.objects(["a", "b"]),
    "instances": lambda snapshot: snapshot.instances(["a", "b"]),
    "still referenced": lambda snapshot: snapshot.still_referenced(["a", "b"]),
    "referred to": lambda snapshot: snapshot.referred_to(["a", "b"], TAGS),
    "object at": lambda snapshot: snapshot.object_at("s", "a"),
    "flow of key": lambda snapshot: snapshot.flow_of_key(7),
    "allocations": lambda snapshot: snapshot.allocations_before(5, after=None, limit=5),
    "more allocations": lambda snapshot: snapshot.allocations_before(5, after="3 a", limit=5),
    "instances of storage": lambda snapshot: snapshot.instances_of("s", after=None, limit=5),
    "more instances of storage": lambda snapshot: snapshot.instances_of("s", after="k", limit=5),
    "keys known": lambda snapshot: snapshot.keys_known("s", ["a", "b"]),
    "queued": lambda snapshot: snapshot.queued("k", ["a", "b"]),
    "flows of source": lambda snapshot: snapshot.count_up_to("flows of source", "s", 5),
    "segments of object": lambda snapshot: snapshot.count_up_to("segments of object", "o", 5),
    "objects of init": lambda snapshot: snapshot.count_up_to("objects of init", "init", 5),
    "document": lambda snapshot: snapshot.document("k", "1"),
    "documents": lambda snapshot: snapshot.list_documents(
        "k", order="order", where={}, reverse=False, after=None, limit=5
    ),
    "documents by key": lambda snapshot: snapshot.list_documents(
        "k", order="order", where={"a": "b", "c": "d"}, reverse=True, after="3", limit=5
    ),
    "documents by tag": lambda snapshot: snapshot.list_documents(
        "k", order="order", where={"a": "b"}, reverse=False, after=None, limit=5, tags=TAGS
    ),
    "documents of kind": lambda snapshot: snapshot.count_up_to("documents of kind", "k", 1),
    "deliveries": lambda snapshot: snapshot.deliveries("w", 5),
    "deliveries of webhook": lambda snapshot: snapshot.count_up_to("deliveries of webhook", "w", 5),
    "sources by id": lambda snapshot: snapshot.sources_by_id(["s", "t"]),
    "documents backwards": lambda snapshot: snapshot.list_documents(
        "k", order="order", where={}, reverse=True, after=None, limit=5
    ),
    **{
        f"sources by {order}, {name}": lambda snapshot, order=order, where=where: snapshot.list_sources(  # type: ignore[misc]
            where, order=order, reverse=order == "updated", after="0", limit=5
        )
        for order in ("created", "updated", "label")
        for name, where in {
            "all": SourceFilter(),
            "label and format": SourceFilter(label="x", format=factories.VIDEO),
            "tags": SourceFilter(tags=TAGS),
            "either tag": SourceFilter(tags=TagFilter(any_of=(("b", ("2", "3")),))),
            "tag": SourceFilter(tags=TagFilter(exists=(("a", True),))),
            "no tag": SourceFilter(tags=TagFilter(exists=(("a", False),))),
            "collector": SourceFilter(collected_by=("c", "d")),
            "top level": SourceFilter(collected_by=()),
        }.items()
    },
    **{
        f"flows by {order}, {name}": lambda snapshot, order=order, where=where: snapshot.list_flows(  # type: ignore[misc]
            where, order=order, reverse=True, after="1", limit=5
        )
        for order in ("created", "metadata_updated", "label")
        for name, where in {
            "all": FlowFilter(),
            "source": FlowFilter(source_id="s"),
            "label and format": FlowFilter(label="x", format=factories.VIDEO),
            "tags": FlowFilter(tags=TAGS),
            "either tag": FlowFilter(tags=TagFilter(any_of=(("b", ("2", "3")),))),
            "collector": FlowFilter(collected_by=("c", "d")),
            "top level": FlowFilter(collected_by=()),
            "tag": FlowFilter(tags=TagFilter(exists=(("a", True),))),
            "no tag": FlowFilter(tags=TagFilter(exists=(("a", False),))),
            "content": FlowFilter(timerange=seconds(1, 2), codec="video/h264"),
            "content from a time on": FlowFilter(timerange=TimeRange(SECOND, None)),
            "content up to a time": FlowFilter(timerange=TimeRange(None, SECOND)),
            "no content": FlowFilter(timerange=NEVER, frame_width=1920, init_segments=False),
        }.items()
    },
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_query_reads_index_ranges(traced: tuple[SqlRepository, list[str]], question: str) -> None:
    repository, statements = traced
    read(repository, QUESTIONS[question])
    for statement, step in plans(repository, statements):
        assert "TEMP B-TREE" not in step, f"{step}: {statement}"
        if step.startswith("SCAN"):
            # Lists that are parameters of the query, and counts up to a cap of rows that another step has read.
            assert re.match(r"SCAN (\w+ VIRTUAL TABLE|\(subquery-\d+\)|anon_\d+$|CONSTANT ROW)", step), step


def test_leasing_jobs_walks_those_that_are_due(traced: tuple[SqlRepository, list[str]]) -> None:
    repository, statements = traced
    write(repository, lambda tx: tx.enqueue([Job("k", str(number), {}, due=number) for number in range(9)]))
    statements.clear()
    assert len(repository.lease("k", "w", 5, 5)) == 5
    steps = [step for statement, step in plans(repository, statements) if statement.startswith("SELECT")]
    assert steps == ["SEARCH jobs USING INDEX ix_jobs_kind_available_key (kind=? AND available<?)"] * 2


def test_an_object_used_often_in_few_flows_is_found_with_few_looks(
    traced: tuple[SqlRepository, list[str]],
) -> None:
    repository, statements = traced
    read(repository, lambda snapshot: snapshot.references("init"))
    steps = [step for _, step in plans(repository, statements) if "segments" in step]
    assert len(steps) == 4
    assert all(re.search(r"USING COVERING INDEX .*object_id=\?( AND flow_key>\?)?\)", step) for step in steps)


def test_changes_find_their_rows_by_key(traced: tuple[SqlRepository, list[str]]) -> None:
    repository, statements = traced
    with repository.read() as snapshot:
        segments = snapshot.segments_within(7, ETERNITY, 3)
    write(repository, lambda tx: tx.remove_segments(7, segments, at=5))
    write(repository, lambda tx: tx.delete_objects([segment.object_id for segment in segments]))
    write(repository, lambda tx: tx.enqueue([Job("k", "1", {}, due=1)]))
    (job,) = repository.lease("k", "w", 5, 5)
    repository.prolong(job, 5)
    repository.postpone(job, 3)
    write(repository, lambda tx: tx.add_deliveries([Delivery("w", 1, factories.event())]))
    write(repository, lambda tx: tx.drop_deliveries("w", 0))
    write(repository, lambda tx: tx.ack("w", 1))
    for statement, step in plans(repository, statements):
        assert not step.startswith("SCAN") or "VIRTUAL TABLE" in step, f"{step}: {statement}"


def test_events_are_taken_from_the_front_of_their_index(traced: tuple[SqlRepository, list[str]]) -> None:
    repository, statements = traced
    write(repository, lambda tx: tx.append_events([factories.event(created=number) for number in range(50)]))
    write(repository, lambda tx: tx.take_events(1))
    steps = {step for statement, step in plans(repository, statements) if not statement.startswith("INSERT")}
    index = "outbox USING INDEX sqlite_autoindex_outbox_1"
    assert steps == {f"SCAN {index}", f"SEARCH {index} (created=? AND position=? AND id=?)"}
