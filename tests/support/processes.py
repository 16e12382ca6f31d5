"""Work for separate processes in the tests of concurrency. Each opens its own repository, as a server does."""

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
    """Run `work` in a new process for each tuple of arguments, all at once; return the results in order."""
    jobs = list(arguments)
    context = get_context("spawn")
    # Each process waits until all have started, so that they begin together.
    barrier = context.Barrier(len(jobs))
    with ProcessPoolExecutor(len(jobs), mp_context=context, initializer=_wait, initargs=(barrier,)) as pool:
        return [future.result(90) for future in [pool.submit(work, *job) for job in jobs]]


def call(work: Callable[..., R], *arguments: object) -> R:
    """Call `work`. For `in_processes` with a different function in each process."""
    return work(*arguments)


def _wait(barrier: Barrier) -> None:
    barrier.wait(60)


def register_overlapping(url: str, flow_key: int, flow_id: str, number: int, rounds: int) -> list[int]:
    """Try in each round to store a Segment that overlaps those of all other processes; return the rounds won."""
    repository = open_repository(url)
    won = []
    for turn in range(rounds):
        timerange = seconds(turn + number / 100, turn + 0.5 + number / 100)

        def transact(tx: Write, timerange: TimeRange = timerange, turn: int = turn) -> bool:
            tx.claim(("flow", flow_id))
            if tx.overlaps(flow_key, [timerange]) != [False]:
                return False
            media = factories.media_object(timerange=timerange)
            tx.put_objects([media])
            tx.add_segments(flow_key, [factories.segment(timerange, media, registered=turn)])
            return True

        if repository.write(new_id(), transact):
            won.append(turn)
    repository.close()
    return won


def drop_references(url: str, flow_key: int, flow_id: str, segments: list[Segment]) -> list[str]:
    """Remove Segments one by one, and each Object with its last reference; return the ids of the deleted Objects."""
    repository = open_repository(url)
    deleted = []
    for segment in segments:

        def transact(tx: Write, segment: Segment = segment) -> bool:
            tx.claim(("flow", flow_id), ("object", segment.object_id))
            tx.remove_segments(flow_key, [segment], at=9)
            if tx.still_referenced([segment.object_id]):
                return False
            tx.delete_objects([segment.object_id])
            return True

        if repository.write(new_id(), transact):
            deleted.append(segment.object_id)
    repository.close()
    return deleted


def write_many(url: str, number: int, writes: int) -> list[str]:
    """Commit small transactions, one after the other; return the errors that were raised."""
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
    """Claim a document and add one to its number, `times` times."""
    repository = open_repository(url)

    def transact(tx: Write) -> None:
        tx.claim(("document", "counter"))
        counter = tx.document("k", "counter")
        tx.put_document(Document("k", "counter", {"n": 1 if counter is None else counter.body["n"] + 1}))

    for _ in range(times):
        repository.write(new_id(), transact)
    repository.close()


def take_jobs(url: str, worker: str) -> list[str]:
    """Lease and finish jobs until none is left; return the ids of the jobs that this process leased."""
    repository = open_repository(url)
    job_ids = []
    while jobs := repository.lease("k", worker, 3, 60):
        for job in jobs:
            job_ids.append(job.job_id)
            repository.write(new_id(), lambda tx, done=job: tx.finish(done.kind, done.job_id))  # type: ignore[misc]
    repository.close()
    return job_ids


def append_events(url: str, number: int, changes: int) -> None:
    """Claim and change one document repeatedly; append an event with each change, numbered across all processes."""
    repository = open_repository(url)

    def transact(tx: Write) -> None:
        tx.claim(("document", "changed"))
        document = tx.document("k", "changed")
        count = 0 if document is None else document.body["n"]
        tx.put_document(Document("k", "changed", {"n": count + 1}))
        tx.append_events([factories.event(created=count, source_id=f"process {number}")])

    for _ in range(changes):
        repository.write(new_id(), transact)
    repository.close()


def take_events(url: str, limit: int) -> list[str]:
    """Take events until none is left; return the ids of the events that this process took."""
    repository = open_repository(url)
    event_ids: list[str] = []
    while events := repository.write(new_id(), lambda tx: tx.take_events(limit)):
        event_ids += [event.id for event in events]
    repository.close()
    return event_ids


def share_out_events(url: str, expected: int) -> None:
    """Take events and queue them for the webhook "w", until as many as expected are queued."""
    repository = open_repository(url)

    def transact(tx: Write) -> int:
        tx.claim(("document", "w"))
        document = tx.document("k", "w")
        last: int = 0 if document is None else document.body["n"]
        events = tx.take_events(3)
        tx.add_deliveries([Delivery("w", sequence, event) for sequence, event in enumerate(events, start=last + 1)])
        tx.put_document(Document("k", "w", {"n": last + len(events)}))
        return last + len(events)

    while repository.write(new_id(), transact) < expected:
        pass
    repository.close()


def write_pairs_until_killed(url: str, flow_key: int, flow_id: str) -> None:
    """Register pairs of Segments with a job for each pair, until killed; print a line for each pair that is stored."""
    repository: Repository = open_repository(url)
    for turn in itertools.count():

        def transact(tx: Write, turn: int = turn) -> None:
            tx.claim(("flow", flow_id))
            ranges = [seconds(2 * turn, 2 * turn + 1), seconds(2 * turn + 1, 2 * turn + 2)]
            media = [factories.media_object(f"object-{2 * turn + n}") for n in range(2)]
            tx.put_objects(media)
            for timerange, of in zip(ranges, media, strict=True):
                tx.add_segments(flow_key, [factories.segment(timerange, of, registered=turn)])
            tx.enqueue([Job("k", str(turn), {}, due=turn)])

        repository.write(new_id(), transact)
        print(turn, flush=True)


def everything(repository: Repository, flow_key: int) -> list[Segment]:
    """Return all Segments of a Flow."""
    segments: list[Segment] = []
    after = None
    while True:
        with repository.read() as snapshot:
            page = snapshot.segments(flow_key, ETERNITY, object_id=None, reverse=False, after=after, limit=1000)
        segments += page.items
        after = page.next
        if after is None:
            return segments
