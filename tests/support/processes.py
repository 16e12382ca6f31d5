"""What processes of their own do in the tests of concurrency. Each opens the repository by itself, as a server does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import TypeVar

from tams.domain.errors import TamsError
from tams.domain.events import Delivery
from tams.domain.identifiers import new_id
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY, TimeRange
from tams.repository.port import Document, Job, Repository, Write
from tests.support import factories
from tests.support.factories import seconds
from tests.support.repository_steps import open_repository

R = TypeVar("R")


def in_processes(work: Callable[..., R], arguments: Iterable[tuple[object, ...]]) -> list[R]:
    """Run `work` in one fresh process for each of the arguments, all at once; their answers in order."""
    jobs = list(arguments)
    context = get_context("spawn")
    # So that they begin together, each waits until all of them are up.
    together = context.Barrier(len(jobs))
    with ProcessPoolExecutor(len(jobs), mp_context=context, initializer=_wait, initargs=(together,)) as pool:
        return [future.result(90) for future in [pool.submit(work, *each) for each in jobs]]


def call(work: Callable[..., R], *arguments: object) -> R:
    """For processes that do different things: what to do comes first."""
    return work(*arguments)


def _wait(together: Barrier) -> None:
    together.wait(60)


def register_overlapping(url: str, flow_key: int, flow_id: str, number: int, rounds: int) -> list[int]:
    """In each round try to store a Segment that overlaps everybody else's of the round; the rounds that were won."""
    repository = open_repository(url)
    won = []
    for turn in range(rounds):
        wanted = seconds(turn + number / 100, turn + 0.5 + number / 100)

        def transact(tx: Write, wanted: TimeRange = wanted, turn: int = turn) -> bool:
            tx.claim(("flow", flow_id))
            if tx.overlaps(flow_key, [wanted]) != [False]:
                return False
            media = factories.media_object(timerange=wanted)
            tx.put_objects([media])
            tx.add_segments(flow_key, [factories.segment(wanted, media, registered=turn)])
            return True

        if repository.write(new_id(), transact):
            won.append(turn)
    repository.close()
    return won


def drop_references(url: str, flow_key: int, flow_id: str, segments: list[Segment]) -> list[str]:
    """Remove Segments one by one, and each Object with its last reference; the Objects that went here."""
    repository = open_repository(url)
    gone = []
    for segment in segments:

        def transact(tx: Write, segment: Segment = segment) -> bool:
            tx.claim(("flow", flow_id), ("object", segment.object_id))
            tx.remove_segments(flow_key, [segment], at=9)
            if tx.still_referenced([segment.object_id]):
                return False
            tx.delete_objects([segment.object_id])
            return True

        if repository.write(new_id(), transact):
            gone.append(segment.object_id)
    repository.close()
    return gone


def write_many(url: str, number: int, writes: int) -> list[str]:
    """Small transactions, one after the other; the errors that came out."""
    repository = open_repository(url)
    errors = []
    for turn in range(writes):

        def transact(tx: Write, turn: int = turn) -> None:
            tx.put_document(Document("k", f"{number}-{turn}", {"n": turn}, {"order": f"{number}-{turn}"}))

        try:
            repository.write(new_id(), transact)
        except TamsError as error:
            errors.append(repr(error))
    repository.close()
    return errors


def count_up(url: str, times: int) -> None:
    """Add one to the number in a document, claiming it first."""
    repository = open_repository(url)

    def transact(tx: Write) -> None:
        tx.claim(("document", "counter"))
        found = tx.document("k", "counter")
        tx.put_document(Document("k", "counter", {"n": 1 if found is None else found.body["n"] + 1}))

    for _ in range(times):
        repository.write(new_id(), transact)
    repository.close()


def take_jobs(url: str, worker: str) -> list[str]:
    """Lease and finish jobs until there are none; the keys of those that were lent here."""
    repository = open_repository(url)
    taken = []
    while jobs := repository.lease("k", worker, 3, 60):
        for job in jobs:
            taken.append(job.job_id)
            repository.write(new_id(), lambda tx, done=job: tx.finish(done.kind, done.job_id))  # type: ignore[misc]
    repository.close()
    return taken


def append_events(url: str, number: int, changes: int) -> None:
    """Change the same thing, claimed, over and over: with each change an event, counted over all processes."""
    repository = open_repository(url)

    def transact(tx: Write) -> None:
        tx.claim(("document", "changed"))
        found = tx.document("k", "changed")
        count = 0 if found is None else found.body["n"]
        tx.put_document(Document("k", "changed", {"n": count + 1}))
        tx.append_events([factories.event(created=count, source_id=f"process {number}")])

    for _ in range(changes):
        repository.write(new_id(), transact)
    repository.close()


def take_events(url: str, limit: int) -> list[str]:
    """Take events until there are none; the ids of those that were taken here."""
    repository = open_repository(url)
    taken: list[str] = []
    while events := repository.write(new_id(), lambda tx: tx.take_events(limit)):
        taken += [event.id for event in events]
    repository.close()
    return taken


def share_out_events(url: str, expected: int) -> None:
    """Take events and have them wait for the webhook "w", until this was done to as many as expected."""
    repository = open_repository(url)

    def transact(tx: Write) -> int:
        tx.claim(("document", "w"))
        found = tx.document("k", "w")
        last: int = 0 if found is None else found.body["n"]
        events = tx.take_events(3)
        tx.add_deliveries([Delivery("w", sequence, event) for sequence, event in enumerate(events, start=last + 1)])
        tx.put_document(Document("k", "w", {"n": last + len(events)}))
        return last + len(events)

    while repository.write(new_id(), transact) < expected:
        pass
    repository.close()


def write_pairs_for_ever(url: str, flow_key: int, flow_id: str) -> None:
    """Register pairs of Segments with a job for each, until killed; a line for each pair that is stored."""
    repository: Repository = open_repository(url)
    for turn in itertools.count():

        def transact(tx: Write, turn: int = turn) -> None:
            tx.claim(("flow", flow_id))
            ranges = [seconds(2 * turn, 2 * turn + 1), seconds(2 * turn + 1, 2 * turn + 2)]
            media = [factories.media_object(f"object-{2 * turn + n}") for n in range(2)]
            tx.put_objects(media)
            for each, of in zip(ranges, media, strict=True):
                tx.add_segments(flow_key, [factories.segment(each, of, registered=turn)])
            tx.enqueue([Job("k", str(turn), {}, due=turn)])

        repository.write(new_id(), transact)
        print(turn, flush=True)


def everything(repository: Repository, flow_key: int) -> list[Segment]:
    """All Segments of a Flow."""
    segments: list[Segment] = []
    after = None
    while True:
        with repository.read() as snapshot:
            page = snapshot.segments(flow_key, ETERNITY, object_id=None, reverse=False, after=after, limit=1000)
        segments += page.items
        after = page.next
        if after is None:
            return segments
