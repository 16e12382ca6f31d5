"""The lines of a server in production: one JSON object each, from its start to its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import PATIENCE, eventually

pytestmark = pytest.mark.e2e

TAMS = Path(sys.executable).with_name("tams")
TOP = Path(__file__).parents[2]


def environment(directory: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    variables = {"ENVIRONMENT": "production", "TAMS_AUTH": "none", "TAMS_DATA_DIR": str(directory / "data")}
    return inherited | variables | {"TAMS_WORKERS": "1"}


def served(command: Sequence[str | Path], directory: Path, how: signal.Signals, port: int = 0) -> list[dict[str, Any]]:
    """Start a server, send it a probe and a request for a path without a resource, end it; return all its lines."""
    output = directory / "output"
    with output.open("w") as file:
        process = subprocess.Popen(command, cwd=TOP, env=environment(directory), stdout=file, stderr=file)
    try:
        eventually(lambda: "TAMS" in output.read_text(), "the server serves")
        url = f"http://127.0.0.1:{port or re.findall(r'127.0.0.1:([0-9]+)', output.read_text())[0]}"
        eventually(lambda: status(f"{url}/health/live") == 200, "the server answers")
        assert status(f"{url}/nowhere?access_token=hidden") == 404
        process.send_signal(how)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)
    assert "hidden" not in output.read_text()
    return [json.loads(line) for line in output.read_text().splitlines()]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def check(lines: list[dict[str, Any]], how: signal.Signals) -> None:
    messages = [line["message"] for line in lines]
    assert f"The server received {how.name}" in messages
    assert messages[-1] == "The server has stopped"
    (access,) = [line for line in lines if line["logger"] == "tams.access"]
    assert (access["path"], access["status"], access["address"]) == ("/nowhere", 404, "127.0.0.1")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_every_line_of_tams_serve_is_json(tmp_path: Path, how: signal.Signals) -> None:
    lines = served([TAMS, "serve", "--port", "0"], tmp_path, how)
    check(lines, how)
    assert [line["database"] for line in lines if " serves http://127.0.0.1:" in line["message"]] == [
        f"sqlite:///{tmp_path}/data/tams.db"
    ]
    (created,) = [line["message"] for line in lines if line["logger"] == "tams.repository.sql.migrate"][:1]
    assert created.startswith("setting up a new database")
    assert "None" not in created


def test_every_line_of_gunicorn_is_json(tmp_path: Path) -> None:
    subprocess.run([TAMS, "db", "upgrade"], env=environment(tmp_path), check=True, timeout=PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:application"]
    lines = served(command, tmp_path, signal.SIGTERM, port)
    check(lines, signal.SIGTERM)
    assert [line for line in lines if line["message"].endswith(f" listens at http://127.0.0.1:{port}")]
