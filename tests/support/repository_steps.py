"""Steps that tests of the repository share, among them opening the repository that a URL names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tams.domain.flows import Flow, Source
from tams.domain.identifiers import new_id
from tams.domain.objects import Object
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY, TimeRange
from tams.repository.port import Cursor, Page, Read, Repository, Write
from tams.repository.sql import SqlRepository
from tests.support import factories

T = TypeVar("T")
R = TypeVar("R")


def open_repository(url: str) -> Repository:
    """Open the adapter for the URL, as each process does."""
    if url.startswith("vast"):
        from tams.repository.vast import VastRepository
        from tests.support.vast_clusters import address_of

        return VastRepository(address_of(url))
    return SqlRepository(url)


def environment_of(url: str) -> dict[str, str]:
    """Return the environment variables that choose the database of the URL."""
    if url.startswith("vast"):
        from tests.support.vast_clusters import address_of

        address = address_of(url)
        return {
            "TAMS_REPOSITORY": "vast",
            "TAMS_VAST_ENDPOINT": address.endpoint,
            "TAMS_VAST_ACCESS_KEY": address.access_key,
            "TAMS_VAST_SECRET_KEY": address.secret_key,
            "TAMS_VAST_BUCKET": address.bucket,
            "TAMS_VAST_SCHEMA": address.schema,
        }
    return {"TAMS_DATABASE_URL": url}


def write(repository: Repository, transact: Callable[[Write], T]) -> T:
    """Run one transaction; return the result of `transact`."""
    return repository.write(new_id(), transact)


def read(repository: Repository, question: Callable[[Read], T]) -> T:
    """Return the answer to one question, from a new snapshot."""
    with repository.read() as snapshot:
        return question(snapshot)


def put_sources(repository: Repository, *sources: Source) -> None:
    """Store Sources."""

    def transact(tx: Write) -> None:
        for source in sources:
            tx.put_source(source)

    write(repository, transact)


def put_flows(repository: Repository, *flows: Flow) -> None:
    """Store Flows, and a Source for each Flow whose Source does not exist."""

    def transact(tx: Write) -> None:
        sources = tx.sources_by_id({flow.source_id for flow in flows})
        for source_id in sorted({flow.source_id for flow in flows} - set(sources)):
            tx.put_source(factories.source(source_id))
        for flow in flows:
            tx.put_flow(flow)

    write(repository, transact)


def new_flow(repository: Repository, **fields: object) -> Flow:
    """Store a Flow with a separate Source; return it."""
    flow = factories.flow(source_id=factories.uuid(), **fields)  # type: ignore[arg-type]
    put_flows(repository, flow)
    return flow


def put_objects(repository: Repository, *objects: Object) -> None:
    """Store Objects."""
    write(repository, lambda tx: tx.put_objects(objects))


def add(repository: Repository, flow: Flow, segments: Sequence[Segment]) -> None:
    """Store Segments of existing Objects."""
    write(repository, lambda tx: tx.add_segments(flow.flow_key, segments))


def fill(
    repository: Repository, flow: Flow, ranges: Iterable[TimeRange], *, init: Object | None = None, first: int = 1
) -> list[Segment]:
    """Store a Segment for each range, each with a separate Object, registered at `first`, `first + 1`, …"""
    init_id = None if init is None else init.id
    pairs = [(within, factories.media_object(timerange=within, init_object_id=init_id)) for within in ranges]
    segments = [factories.segment(*pair, registered=number) for number, pair in enumerate(pairs, start=first)]

    def transact(tx: Write) -> None:
        tx.put_objects([*([init] if init else []), *(of for _, of in pairs)])
        tx.add_segments(flow.flow_key, segments)

    write(repository, transact)
    return segments


def stored(repository: Repository, flow: Flow, overlapping: TimeRange = ETERNITY) -> list[Segment]:
    """Return all Segments of a Flow that overlap the range, in time order."""
    return read(
        repository,
        lambda snapshot: (
            snapshot.segments(flow.flow_key, overlapping, object_id=None, reverse=False, after=None, limit=1000).items
        ),
    )


def walk(repository: Repository, page: Callable[[Read, Cursor | None], Page[R]]) -> list[R]:
    """Return all items of a listing, page by page, each page from a new snapshot."""
    items: list[R] = []
    after: Cursor | None = None
    while True:
        with repository.read() as snapshot:
            page_items, after = page(snapshot, after)
        items += page_items
        if after is None:
            return items
