"""The command's own server, started as a user starts one, with a temporary data directory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_START_SECONDS = 60
_STOP_SECONDS = 20


@contextmanager
def own_server() -> Iterator[str]:
    """Start a server on a free port, yield its URL, and stop it at the end.

    Raises:
        RuntimeError: The server does not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="tams-conformance-") as directory:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        command = [str(Path(sys.executable).with_name("tams")), "serve", "--data-dir", f"{directory}/data"]
        log = Path(directory, "server.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--port", str(port)],
                env=_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                _wait(process, url, log)
                yield url
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _environment() -> dict[str, str]:
    """Return the environment of a development server, without the TAMS settings of this process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    return {**inherited, "ENVIRONMENT": "development", "LOG_LEVEL": "WARNING"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with exit code {process.returncode}:\n{log.read_text()[-4000:]}")
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"The server was not ready within {_START_SECONDS} s:\n{log.read_text()[-4000:]}")
