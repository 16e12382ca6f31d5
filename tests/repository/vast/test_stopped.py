"""A process that stops between its claim and its commit, really: others go on without it, and it does no harm later."""

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
    """Register the first second, unless it is taken; whether it was done here."""
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


def registered_beside_a_stopped_one(
    settings: Settings, concurrency: str, stalled: tuple[str, str], waits: float
) -> None:
    """Stop a process while it waits for the answer to a request about a table; another one goes on."""
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
                # What it asked for last is done by now.
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


def test_the_claim_of_a_stopped_process_is_taken_over_and_its_commit_comes_to_nothing() -> None:
    # Its claims are committed when it writes.
    registered_beside_a_stopped_one(Settings.hostile(), "claims", ("insert", "segments"), waits=1)


def test_a_stopped_process_that_has_taken_its_stripes_collides_at_its_commit() -> None:
    settings = replace(Settings.hostile(), row_conflicts="commit", rollback="ignored_elsewhere")
    registered_beside_a_stopped_one(settings, "stripes", ("update", "locks"), waits=0)
    registered_beside_a_stopped_one(settings, "stripes", ("insert", "segments"), waits=0)


def test_the_stripes_of_a_stopped_process_are_free_once_the_cluster_ends_its_transaction() -> None:
    settings = replace(Settings.hostile(), row_conflicts="statement", rollback="refused_elsewhere", idle_timeout=4)
    registered_beside_a_stopped_one(settings, "stripes", ("update", "locks"), waits=1)
