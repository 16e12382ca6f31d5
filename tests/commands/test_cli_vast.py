"""`tams` on VAST Database, with real processes: where only one of them may write."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tams_command import assert_refused, environment, eventually, tams
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.settings import Settings

pytestmark = pytest.mark.e2e


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Settings(row_conflicts="last_writer_wins", rollback="ignored", idle_timeout=5)) as started:
        yield started


@pytest.fixture
def single(emulator: Emulator) -> dict[str, str]:
    """Return the environment variables of a server."""
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
    """Return the processes that are registered as the only writer."""
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
    command = [sys.executable, "-m", "tams.commands.main", "serve", "--port", "0"]
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


def probed(emulator: Emulator, tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = {
        "TAMS_VAST_ENDPOINT": emulator.endpoint,
        "TAMS_VAST_ACCESS_KEY": emulator.access,
        "TAMS_VAST_SECRET_KEY": emulator.secret,
        "TAMS_VAST_BUCKET": "vastdb",
    }
    return tams("vast", "probe", "--idle-seconds", "0.2", *arguments, cwd=tmp_path, **(given | variables))


class TestProbe:
    def test_it_says_what_to_set_and_writes_a_profile(self, tmp_path: Path) -> None:
        with Emulator() as cluster:
            ended = probed(cluster, tmp_path, "--json", "profile.json")
            assert cluster.engine.latest.schemas == {}
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-1] == "The results call for TAMS_VAST_CONCURRENCY=claims (as it is set)."
        profile = json.loads((tmp_path / "profile.json").read_text())
        assert profile["concurrency"] == "claims"
        for finding in profile["findings"].values():
            assert finding["question"] in ended.stdout
            assert finding["question"] in ended.stderr

    def test_what_is_missing_is_said_in_a_sentence(self, tmp_path: Path, emulator: Emulator) -> None:
        assert_refused(probed(emulator, tmp_path, TAMS_VAST_BUCKET=""), "TAMS_VAST_BUCKET")
        refused = probed(emulator, tmp_path, TAMS_VAST_SECRET_KEY="wrong")
        assert refused.returncode == 2
        assert "TAMS_VAST_ACCESS_KEY has to be allowed to make and drop schemas" in refused.stderr
        assert_refused(probed(emulator, tmp_path, "--json", "no/such/profile.json"), "no/such/profile.json")

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
    def test_nothing_stays_when_it_is_interrupted(
        self, how: signal.Signals, tmp_path: Path, emulator: Emulator
    ) -> None:
        variables = {
            "TAMS_VAST_ENDPOINT": emulator.endpoint,
            "TAMS_VAST_ACCESS_KEY": emulator.access,
            "TAMS_VAST_SECRET_KEY": emulator.secret,
            "TAMS_VAST_BUCKET": "vastdb",
        }
        with subprocess.Popen(
            # A shell has what it runs in the background ignore the signal, and these tests with it.
            [
                "env",
                "--default-signal=INT",
                sys.executable,
                "-m",
                "tams.commands.main",
                "vast",
                "probe",
                "--idle-seconds",
                "60",
            ],
            cwd=tmp_path,
            env=environment(**variables),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            eventually(lambda: emulator.engine.latest.tables, "the probe has made its tables")
            process.send_signal(how)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "was removed" in said
        assert emulator.engine.latest.schemas == {}

    def test_db_check_says_whether_the_setting_suits(self, tmp_path: Path, single: dict[str, str]) -> None:
        with Emulator() as cluster:
            there = single | {"TAMS_VAST_ENDPOINT": cluster.endpoint}
            assert tams("db", "upgrade", cwd=tmp_path, **there).returncode == 0
            checked = tams("db", "check", cwd=tmp_path, **there)
            assert checked.returncode == 0, checked.stdout
            assert "single, which suits this cluster; claims does, too, and is better" in checked.stdout
            cluster.settings.update({"atomic_commits": False})
            checked = tams("db", "check", cwd=tmp_path, **there)
            assert checked.returncode == 1
            assert "lacking: TAMS_VAST_CONCURRENCY is single, which does not suit this cluster" in checked.stdout


def test_a_wrong_bucket_is_a_sentence_within_seconds(tmp_path: Path, single: dict[str, str]) -> None:
    wrong = single | {"TAMS_VAST_BUCKET": "no-such-bucket"}
    for command in (("serve", "--port", "0"), ("db", "upgrade")):
        began = time.monotonic()
        assert_refused(tams(*command, cwd=tmp_path, **wrong), "no-such-bucket", "TAMS_VAST_BUCKET")
        assert time.monotonic() - began < 20
    checked = tams("db", "check", cwd=tmp_path, **wrong)
    assert checked.returncode == 1
    assert checked.stdout.startswith("lacking: The VAST cluster at ")
    assert checked.stderr == ""
