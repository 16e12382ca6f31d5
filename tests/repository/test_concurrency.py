"""Many processes and threads on one database: no lost update, no half transaction, one winner per conflict."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tams.domain.errors import TamsError
from tams.domain.filters import FlowFilter
from tams.domain.timerange import ETERNITY
from tams.repository.port import Document, Job, Read, Repository, Write
from tests.support import factories, processes
from tests.support.factories import seconds
from tests.support.processes import everything, in_processes
from tests.support.repository_steps import add, new_flow, put_objects, read, stored, write

pytestmark = [pytest.mark.crowd, pytest.mark.vast_modes("stripes")]

ROOT = Path(__file__).parents[2]


@pytest.mark.vast_modes("stripes", "stripes_early")
def test_of_processes_that_register_overlapping_segments_exactly_one_wins(
    repository: Repository, database_url: str
) -> None:
    flow = new_flow(repository)
    rounds = 12
    won = in_processes(
        processes.register_overlapping, [(database_url, flow.flow_key, flow.id, number, rounds) for number in range(3)]
    )
    assert sorted(turn for each in won for turn in each) == list(range(rounds))
    segments = stored(repository, flow)
    assert len(segments) == rounds
    assert all(first.end <= second.start for first, second in pairwise(segments))
    stored_flow = read(repository, lambda snapshot: snapshot.flow(flow.id))
    assert stored_flow is not None
    assert stored_flow.count == rounds


def test_of_two_processes_that_drop_last_references_exactly_one_deletes_the_object(
    repository: Repository, database_url: str
) -> None:
    flows = [new_flow(repository), new_flow(repository)]
    media = [factories.media_object() for _ in range(25)]
    put_objects(repository, *media)
    segments = [factories.segment(seconds(n, n + 1), each) for n, each in enumerate(media)]
    for flow in flows:
        add(repository, flow, segments)
    gone = in_processes(processes.drop_references, [(database_url, flow.flow_key, flow.id, segments) for flow in flows])
    assert sorted(gone[0] + gone[1]) == sorted(each.id for each in media)
    assert read(repository, lambda snapshot: snapshot.objects([each.id for each in media])) == {}


def test_sixteen_writers_at_once_all_succeed(repository: Repository, database_url: str) -> None:
    others = ThreadPoolExecutor(1)
    elsewhere = others.submit(in_processes, processes.write_many, [(database_url, n, 30) for n in range(2)])

    def here(number: int) -> list[str]:
        errors = []
        for turn in range(30):
            document = Document("k", f"{number}-{turn}", {}, {"order": f"{number}-{turn}"})
            try:
                write(repository, lambda tx, made=document: tx.put_document(made))  # type: ignore[misc]
            except TamsError as error:
                errors.append(repr(error))
        return errors

    with ThreadPoolExecutor(14) as pool:
        errors = list(pool.map(here, range(2, 16)))
    errors += elsewhere.result(60)
    others.shutdown()
    assert errors == [[]] * 16
    stored = read(
        repository,
        lambda snapshot: snapshot.list_documents("k", order="order", where={}, reverse=False, after=None, limit=1000),
    )
    assert len(stored.items) == 16 * 30


@pytest.mark.vast_modes("stripes", "stripes_early")
def test_no_update_is_lost_between_processes(repository: Repository, database_url: str) -> None:
    in_processes(processes.count_up, [(database_url, 40)] * 2)
    document = read(repository, lambda snapshot: snapshot.document("k", "counter"))
    assert document is not None
    assert document.body == {"n": 80}


def test_each_job_is_leased_to_one_process(repository: Repository, database_url: str) -> None:
    keys = [str(number) for number in range(60)]
    write(repository, lambda tx: tx.enqueue([Job("k", key, {}, due=1) for key in keys]))
    batches = in_processes(processes.take_jobs, [(database_url, f"worker-{n}") for n in range(2)])
    assert sorted(key for each in batches for key in each) == sorted(keys)


def test_readers_never_see_half_of_a_transaction(repository: Repository) -> None:
    flow = new_flow(repository)

    def pair(tx: Write, turn: int) -> None:
        tx.claim(("flow", flow.id))
        media = [factories.media_object() for _ in range(2)]
        tx.put_objects(media)
        for number, each in enumerate(media):
            start = 2 * turn + number
            tx.add_segments(flow.flow_key, [factories.segment(seconds(start, start + 1), each, registered=turn)])

    def look(snapshot: Read) -> tuple[int, int, int]:
        stored_flow = snapshot.flow(flow.id)
        assert stored_flow is not None
        listed = snapshot.list_flows(FlowFilter(), order="created", reverse=False, after=None, limit=1).items[0]
        return (
            stored_flow.count,
            len(
                snapshot.segments(flow.flow_key, ETERNITY, object_id=None, reverse=False, after=None, limit=1000).items
            ),
            listed.count,
        )

    def reader() -> None:
        while not writing.done():
            count, length, listed = read(repository, look)
            assert count == length == listed
            assert count % 2 == 0

    def writer() -> None:
        for turn in range(60):
            write(repository, lambda tx, now=turn: pair(tx, now))  # type: ignore[misc]

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(writer)
        for reading in [pool.submit(reader) for _ in range(3)]:
            reading.result(60)
        writing.result(1)


@pytest.mark.kill
@pytest.mark.vast_modes("stripes", "stripes_early")
def test_a_killed_writer_leaves_all_or_nothing(repository: Repository, database_url: str) -> None:
    code = (
        "import sys; from tests.support.processes import write_pairs_until_killed;"
        "write_pairs_until_killed(sys.argv[1], int(sys.argv[2]), sys.argv[3])"
    )
    for pause in (0.05, 0.083):
        flow = new_flow(repository)
        writer = subprocess.Popen(
            [sys.executable, "-c", code, database_url, str(flow.flow_key), flow.id],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        writer.kill()
        acknowledged = 1 + len(writer.stdout.read().splitlines())
        writer.wait()
        writer.stdout.close()
        # The server may still be executing the last statement of the process.
        write(repository, lambda tx, key=("flow", flow.id): tx.claim(key))  # type: ignore[misc]

        segments = everything(repository, flow.flow_key)
        pairs = len(segments) // 2
        # Acknowledged writes are stored; the write in progress is stored wholly or not at all.
        assert len(segments) == 2 * pairs
        assert acknowledged <= pairs <= acknowledged + 1
        stored_flow = read(repository, lambda snapshot, of=flow.id: snapshot.flow(of))  # type: ignore[misc]
        assert stored_flow is not None
        assert stored_flow.count == len(segments)
        assert len(repository.lease("k", "one", 1000, 60)) == pairs
        objects = [each.object_id for each in segments]
        assert len(read(repository, lambda snapshot, ids=objects: snapshot.objects(ids))) == 2 * pairs  # type: ignore[misc]
