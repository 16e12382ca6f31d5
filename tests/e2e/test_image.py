"""The image: what its Dockerfile says, and its health check beside real processes of the store."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import TamsStore
from tests.support.tams_command import environment, eventually, tams

pytestmark = pytest.mark.e2e

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text()
STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :].replace("\\\n", " ")
"""The instructions of the image itself, one a line."""


def instruction(name: str) -> str:
    """Return the arguments of the only instruction with this name."""
    (arguments,) = re.findall(rf"^{name} (.*)$", STAGE, re.MULTILINE)
    return str(arguments)


def check_health(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command of HEALTHCHECK as the container engine does: on the path of the image, in its directory."""
    command = json.loads(instruction("HEALTHCHECK").partition(" CMD ")[2])
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    limit = float(re.findall(r"--timeout=(\d+)s", instruction("HEALTHCHECK"))[0])
    return subprocess.run(
        command,
        cwd=directory,
        env={"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TamsStore]:
    """Prepare a store with a port of its own, as in the image."""
    store = TamsStore(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        store.port = free.getsockname()[1]
    yield store
    store.kill()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `tams worker` alone, as the documented container does."""
    assert tams("db", "upgrade", cwd=tmp_path).returncode == 0
    log = tmp_path / "worker.log"
    program = Path(sys.executable).with_name("tams")
    with log.open("w") as stderr:
        process = subprocess.Popen([program, "worker"], cwd=tmp_path, env=environment(), stderr=stderr)
    eventually(lambda: "has started" in log.read_text(), "the worker has started")
    yield process
    process.kill()
    process.wait()


def test_a_server_on_any_port_is_healthy_while_it_answers(store: TamsStore) -> None:
    store.start()
    healthy = check_health(store.home)
    assert (healthy.returncode, healthy.stderr) == (0, "")
    assert store._server is not None
    os.killpg(store._server.pid, signal.SIGSTOP)
    frozen = check_health(store.home)
    os.killpg(store._server.pid, signal.SIGCONT)
    assert frozen.returncode == 1
    assert f"tams: http://127.0.0.1:{store.port} does not answer" in frozen.stderr


def test_a_worker_is_healthy_while_it_makes_progress(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    healthy = check_health(tmp_path)
    assert (healthy.returncode, healthy.stderr) == (0, "")
    worker.send_signal(signal.SIGSTOP)
    frozen = check_health(tmp_path)
    worker.send_signal(signal.SIGCONT)
    assert frozen.returncode == 1
    assert f"`tams worker` {worker.pid} has made no progress" in frozen.stderr


def test_a_worker_without_its_database_is_healthy(tmp_path: Path) -> None:
    """A restart would not help, and would stop the worker from going on when the database is back."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://tams@127.0.0.1:{port}/tams"
    program = Path(sys.executable).with_name("tams")
    with (tmp_path / "worker.log").open("w") as stderr:
        process = subprocess.Popen(
            [program, "worker"], cwd=tmp_path, env=environment(TAMS_DATABASE_URL=url), stderr=stderr
        )
    try:
        eventually(lambda: "tried again" in (tmp_path / "worker.log").read_text(), "the worker misses its database")
        healthy = check_health(tmp_path)
        assert (healthy.returncode, healthy.stderr) == (0, "")
    finally:
        process.kill()
        process.wait()


def test_a_container_without_a_process_of_the_store_is_not_healthy(tmp_path: Path) -> None:
    nothing = check_health(tmp_path)
    assert nothing.returncode == 1
    assert "no `tams serve` or `tams worker` runs here" in nothing.stderr


def test_a_server_that_another_program_runs_is_named_by_its_url(store: TamsStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.start()
    assert tams("health", "--url", store.url, cwd=elsewhere).returncode == 0
    store.kill()
    assert tams("health", "--url", store.url, cwd=elsewhere).returncode == 1


def test_the_user_is_a_number() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instruction("USER"))
    user, group = instruction("USER").split(":")
    assert f"--gid {group} " in STAGE
    assert f"--uid {user} " in STAGE


def test_the_command_is_one_that_exists() -> None:
    command = json.loads(instruction("CMD"))
    assert command[0] == "tams"
    assert tams(*command[1:], "--help", cwd=Path("/")).returncode == 0, shlex.join(command)
