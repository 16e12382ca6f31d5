"""`tams` on VAST Database, with real processes: where only one of them may write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_cli import assert_refused, environment, eventually, tams
from tests.vast_emulator.emulator import Emulator
from tests.vast_emulator.settings import Settings


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Settings(row_conflicts="last_writer_wins", rollback="ignored", idle_timeout=5)) as started:
        yield started


@pytest.fixture
def single(emulator: Emulator) -> dict[str, str]:
    """The variables of a server."""
    return {
        "TAMS_REPOSITORY": "vast",
        "TAMS_VAST_ENDPOINT": emulator.endpoint,
        "TAMS_VAST_ACCESS_KEY": emulator.access,
        "TAMS_VAST_SECRET_KEY": emulator.secret,
        "TAMS_VAST_BUCKET": "vastdb",
        "TAMS_VAST_CONCURRENCY": "single",
        "TAMS_VAST_CLAIM_TIMEOUT": "2",
        "TAMS_WORKERS": "1",
    }


def writers(emulator: Emulator) -> list[str]:
    """The processes that say that they are the only ones to write."""
    return [row["op"] for row in emulator.rows("tams", "locks").to_pylist() if row["kind"] == "writer"]


def test_what_would_write_beside_the_only_writer_is_refused(tmp_path: Path, single: dict[str, str]) -> None:
    for command, words in {
        ("worker",): ("Start no `tams worker`", "single"),
        ("serve", "--no-worker"): ("Leave --no-worker out", "single"),
        ("serve", "--workers", "2"): ("TAMS_WORKERS is 2", "write TAMS_WORKERS=1"),
    }.items():
        assert_refused(tams(*command, cwd=tmp_path, **single), *words)


def test_one_process_serves_and_does_the_background_work_and_a_second_server_is_refused(
    tmp_path: Path, emulator: Emulator, single: dict[str, str]
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    command = [sys.executable, "-m", "tams.cli", "serve", "--port", "0"]
    log = tmp_path / "first" / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=tmp_path / "first",
            env=environment(**single),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert "serves" in process.stdout.readline(), log.read_text()
        eventually(lambda: len(writers(emulator)) == 1, "the process is the writer")
        # Not a process beside it: the one that answers.
        assert "does the background work" in log.read_text()
        refused = tams("serve", "--port", "0", cwd=tmp_path / "second", **single)
        assert refused.returncode == 2
        assert "there is another process that writes to this database" in refused.stderr
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()
    assert writers(emulator) == []
