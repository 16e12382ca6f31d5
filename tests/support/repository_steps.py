"""Steps that tests of the contract share, and what a process of its own does in the tests of concurrency."""

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
    """The adapter for the URL, as each process opens it."""
    if url.startswith("vast"):
        from tams.repository.vast import VastRepository
        from tests.support.vast_clusters import address_of

        return VastRepository(address_of(url))
    return SqlRepository(url)


def environment_of(url: str) -> dict[str, str]:
    """The settings that choose the database of the URL, as variables of the environment."""
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
    """One transaction."""
    return repository.write(new_id(), transact)


def read(repository: Repository, question: Callable[[Read], T]) -> T:
    """One question to a snapshot of its own."""
    with repository.read() as snapshot:
        return question(snapshot)


def put_sources(repository: Repository, *sources: Source) -> None:
    """Store Sources."""

    def transact(tx: Write) -> None:
        for each in sources:
            tx.put_source(each)

    write(repository, transact)


def put_flows(repository: Repository, *flows: Flow) -> None:
    """Store Flows, and a Source for each where there is none."""

    def transact(tx: Write) -> None:
        known = tx.sources_by_id({each.source_id for each in flows})
        for source_id in sorted({each.source_id for each in flows} - set(known)):
            tx.put_source(factories.source(source_id))
        for each in flows:
            tx.put_flow(each)

    write(repository, transact)


def new_flow(repository: Repository, **fields: object) -> Flow:
    """A stored Flow with a Source of its own."""
    made = factories.flow(source_id=factories.uuid(), **fields)  # type: ignore[arg-type]
    put_flows(repository, made)
    return made


def put_objects(repository: Repository, *objects: Object) -> None:
    """Store Objects."""
    write(repository, lambda tx: tx.put_objects(objects))


def add(repository: Repository, flow: Flow, segments: Sequence[Segment]) -> None:
    """Store Segments of Objects that are there."""
    write(repository, lambda tx: tx.add_segments(flow.flow_key, segments))


def fill(
    repository: Repository, flow: Flow, ranges: Iterable[TimeRange], *, init: Object | None = None, first: int = 1
) -> list[Segment]:
    """Store a Segment for each range, each with an Object of its own, registered at `first`, `first + 1`, …"""
    init_id = None if init is None else init.id
    pairs = [(each, factories.media_object(timerange=each, init_object_id=init_id)) for each in ranges]
    segments = [factories.segment(each, of, registered=number) for number, (each, of) in enumerate(pairs, start=first)]

    def transact(tx: Write) -> None:
        tx.put_objects([*([init] if init else []), *(of for _, of in pairs)])
        tx.add_segments(flow.flow_key, segments)

    write(repository, transact)
    return segments


def stored(repository: Repository, flow: Flow, overlapping: TimeRange = ETERNITY) -> list[Segment]:
    """All Segments of a Flow that overlap the range, in time order."""
    return read(
        repository,
        lambda snapshot: (
            snapshot.segments(flow.flow_key, overlapping, object_id=None, reverse=False, after=None, limit=1000).items
        ),
    )


def walk(repository: Repository, page: Callable[[Read, Cursor | None], Page[R]]) -> list[R]:
    """All items of a listing, page by page, each from a snapshot of its own."""
    items: list[R] = []
    after: Cursor | None = None
    while True:
        with repository.read() as snapshot:
            found, after = page(snapshot, after)
        items += found
        if after is None:
            return items
