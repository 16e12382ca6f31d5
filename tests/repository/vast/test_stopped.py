"""A process that stops between its claim and its commit, really: others go on without it, and it does no harm later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tams.domain.timerange import ETERNITY
from tams.repository.port import Write
from tams.repository.vast import VastRepository
from tests import factories
from tests.factories import seconds
from tests.repository.steps import new_flow, read, stored, write
from tests.repository.vast.steps import address_of, opened, url_of
from tests.vast_emulator.faults import Way
from tests.vast_emulator.settings import Settings

ROOT = Path(__file__).parents[3]


def register(url: str, flow_key: int, flow_id: str) -> bool:
    """Register the first second, unless it is taken; whether it was done here."""
    repository = VastRepository(address_of(url, claim_timeout=1))

    def body(tx: Write) -> bool:
        tx.claim(("flow", flow_id))
        if tx.overlaps(flow_key, [seconds(0, 1)]) != [False]:
            return False
        media = factories.media_object()
        tx.put_objects([media])
        tx.add_segments(flow_key, [factories.segment(seconds(0, 1), media)])
        return True

    return write(repository, body)


def test_the_claim_of_a_stopped_process_is_taken_over_and_its_commit_comes_to_nothing() -> None:
    code = (
        "import sys; from tests.repository.vast.test_stopped import register;"
        "print(register(sys.argv[1], int(sys.argv[2]), sys.argv[3]))"
    )
    with opened(Settings.hostile()) as (emulator, repository):
        flow = new_flow(repository)
        url = url_of(emulator.endpoint)
        # Its claims are committed when it writes: long enough for it to be stopped while it waits for the answer.
        emulator.fail("insert", Way.STALL, table="segments", seconds=2)
        arguments = [sys.executable, "-c", code, url, str(flow.key), flow.id]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 60
            while emulator.faults.pending and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGSTOP)
            begun = time.monotonic()
            assert register(url, flow.key, flow.id) is True
            assert time.monotonic() - begun > 1
            os.kill(process.pid, signal.SIGCONT)
            answer, _ = process.communicate(timeout=60)
        assert answer.strip() == "False"
        assert len(stored(repository, flow)) == 1
        assert read(repository, lambda snapshot: snapshot.extent(flow.key, ETERNITY)) == seconds(0, 1)
        assert emulator.rows("tams", "segments").num_rows == 1
