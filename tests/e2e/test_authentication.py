"""`tams users`, `tams tokens` and a real server: access, refusal, revocation, and a log without secrets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.e2e

PATIENCE = 60  # seconds
PASSWORD = "correct horse battery staple"


def tams(directory: Path, *arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tams.commands.main", *arguments],
        cwd=directory,
        env=environment(**variables),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    return inherited | {"ENVIRONMENT": "production", "TAMS_AUTH": "basic,token", "LOG_LEVEL": "DEBUG"} | variables


class Server:
    """`tams serve` in production, with its log in a file."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tams.commands.main", "serve", "--port", "0"],
                cwd=directory,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        served = re.search(r"serves (http://[^\s\"]+)", self.process.stdout.readline())
        assert served is not None, self.log.read_text()
        self.url = served[1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Make a data directory with one user, alice, who may read."""
    process = tams(tmp_path, "users", "add", "--scope", "read", "--password-stdin", "alice", text=PASSWORD + "\n")
    assert process.returncode == 0, process.stderr
    return tmp_path


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    running = Server(directory)
    yield running
    running.stop()


def test_credentials_give_access_until_revoked_and_are_not_logged(server: Server, directory: Path) -> None:
    process = tams(directory, "tokens", "create", "--scope", "read", "--scope", "write", "robot")
    token = process.stdout.strip()
    token_id = token.split("_")[1]
    assert token not in process.stderr

    def status(path: str, **more: object) -> int:
        return requests.get(server.url + path, timeout=PATIENCE, **more).status_code  # type: ignore[arg-type]

    assert status("/flows") == 401
    assert status("/health/ready") == 200
    assert status("/flows", auth=("alice", PASSWORD)) == 200
    assert status("/flows", auth=("alice", "a wrong password")) == 401
    assert status(f"/flows?access_token={token}") == 200
    assert status(f"/nowhere?access_token={token}") == 404
    assert status("/flows?limit=" + "x" * 9000 + f"&access_token={token}") == 414
    assert status("/flow-delete-requests", headers={"Authorization": f"Bearer {token}"}) == 403

    listed = tams(directory, "tokens", "list").stdout
    assert re.search(rf"^{token_id}  robot  read,write  -       \d{{4}}-\d\d-\d\d  valid$", listed, re.MULTILINE)
    assert tams(directory, "tokens", "revoke", token_id).returncode == 0
    deadline = time.monotonic() + 20
    while status(f"/flows?access_token={token}") == 200:
        assert time.monotonic() < deadline, "a revoked token is refused within ten seconds"
        time.sleep(0.5)

    tams(directory, "users", "remove", "alice")
    assert status("/flows", auth=("alice", PASSWORD)) == 401
    server.stop()
    log = server.log.read_text()
    assert '"logger":"tams.audit"' in log
    assert '"principal":"robot"' in log
    for secret in (token, token.rpartition("_")[2], PASSWORD, "a wrong password", "access_token="):
        assert secret not in log


def test_commands_name_the_fault(directory: Path) -> None:
    for arguments, code, words in (
        (("users", "remove", "bob"), 1, "tams: there is no user bob"),
        (("users", "passwd", "--password-stdin", "bob"), 1, "tams: a password has 12 to 1024 characters"),
        (("users", "add", "--scope", "read", "--password-stdin", "a:b"), 1, "tams: a user's name has"),
        # As for every command that needs the database.
        (("tokens", "list"), 2, f"tams: sqlite:///{directory}/"),
    ):
        process = tams(directory, *arguments)
        assert process.returncode == code, arguments
        assert process.stderr.strip().splitlines()[-1].startswith(words)
        assert "Traceback" not in process.stderr
    assert tams(directory, "users", "list").stdout.splitlines() == ["NAME   SCOPES  GROUPS", "alice  read    -"]


def test_a_server_without_users_does_not_start(tmp_path: Path) -> None:
    process = tams(tmp_path, "serve", "--port", "0", TAMS_AUTH="basic")
    assert process.returncode == 2
    assert "holds no user" in process.stderr
    assert len(process.stderr.splitlines()) == 1
