"""A process that is stopped (SIGSTOP) between its claim and its commit.

Other processes continue without it, and it does no harm when it continues.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tams.domain.timerange import ETERNITY
from tams.repository.port import Write
from tams.repository.vast import VastRepository
from tests.support import factories
from tests.support.factories import seconds
from tests.support.repository_steps import new_flow, read, stored, write
from tests.support.vast_clusters import address_of, opened, url_of
from tools.vast_emulator.faults import Way
from tools.vast_emulator.settings import Settings

pytestmark = pytest.mark.vast

ROOT = Path(__file__).parents[3]


def register(url: str, flow_key: int, flow_id: str) -> bool:
    """Register a Segment of the first second unless there is one; return whether this call registered it."""
    repository = VastRepository(address_of(url, claim_timeout=1))

    def transact(tx: Write) -> bool:
        tx.claim(("flow", flow_id))
        if tx.overlaps(flow_key, [seconds(0, 1)]) != [False]:
            return False
        media = factories.media_object()
        tx.put_objects([media])
        tx.add_segments(flow_key, [factories.segment(seconds(0, 1), media)])
        return True

    return write(repository, transact)


def check_write_beside_a_stopped_process(
    settings: Settings, concurrency: str, stalled: tuple[str, str], waits: float
) -> None:
    """Stop a process while it waits for an answer; check that another process registers its Segment.

    `stalled`: the kind and the table of the request that is not answered. `waits`: the other process waits for at least
    this many seconds.
    """
    code = (
        "import sys; from tests.repository.vast.test_stopped import register;"
        "print(register(sys.argv[1], int(sys.argv[2]), sys.argv[3]))"
    )
    with opened(settings, concurrency) as (emulator, repository):
        flow = new_flow(repository)
        url = url_of(emulator.endpoint, concurrency)
        kind, table = stalled
        emulator.fail(kind, Way.STALL, table=table, seconds=2)
        arguments = [sys.executable, "-c", code, url, str(flow.flow_key), flow.id]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 60
            while emulator.faults.pending and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGSTOP)
            try:
                # By now the cluster has handled its last request.
                time.sleep(2.1)
                begun = time.monotonic()
                assert register(url, flow.flow_key, flow.id) is True
                assert time.monotonic() - begun > waits
            finally:
                os.kill(process.pid, signal.SIGCONT)
            answer, _ = process.communicate(timeout=60)
        assert answer.strip() == "False"
        assert len(stored(repository, flow)) == 1
        assert read(repository, lambda snapshot: snapshot.extent(flow.flow_key, ETERNITY)) == seconds(0, 1)
        assert emulator.rows("tams", "segments").num_rows == 1


def test_the_claim_of_a_stopped_process_is_taken_over_and_its_commit_fails() -> None:
    # It has committed its claims before it writes.
    check_write_beside_a_stopped_process(Settings.hostile(), "claims", ("insert", "segments"), waits=1)


def test_a_stopped_process_that_has_updated_its_stripes_loses_at_its_commit() -> None:
    settings = replace(Settings.hostile(), row_conflicts="commit", rollback="ignored_elsewhere")
    check_write_beside_a_stopped_process(settings, "stripes", ("update", "locks"), waits=0)
    check_write_beside_a_stopped_process(settings, "stripes", ("insert", "segments"), waits=0)


def test_the_stripes_of_a_stopped_process_are_released_at_the_idle_timeout() -> None:
    settings = replace(Settings.hostile(), row_conflicts="statement", rollback="refused_elsewhere", idle_timeout=4)
    check_write_beside_a_stopped_process(settings, "stripes", ("update", "locks"), waits=1)
