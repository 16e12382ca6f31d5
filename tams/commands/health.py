"""`tams health`: the health check of a container, for whichever process of the store runs in it."""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

_PROCESSES: Final = Path("/proc")
_COMMANDS: Final = ("serve", "worker")

_NO_PROCESS: Final = (
    "no `tams serve` or `tams worker` runs here: run this command in the working directory of the process, or name a "
    "server with --url."
)

# Seconds. A worker that cannot reach its database pauses for 5 seconds between two attempts.
_PATIENCE: Final = 8.0
_INTERVAL: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Process:
    """A running `tams serve` or `tams worker`, and the arguments after the name of the command."""

    pid: int
    parent: int
    command: str
    arguments: tuple[str, ...]


@click.command()
@click.option("--url", metavar="URL", help="Ask the server at this URL, whichever program runs it.")
def health(url: str | None) -> None:
    """Check the processes of the store that run here.

    The exit code is 0 if all are healthy, and 1 if not. "Here" means started in the same working directory and visible
    to this user, as in a container. A `tams serve` is healthy if it answers, a `tams worker` if it makes progress.
    Neither says that the database or the media can be reached: a restart would not help against that. `/health/ready`
    reports it.
    """
    faults = list(_faults_of_all() if url is None else _faults_of_server(url))
    for fault in faults:
        click.echo(f"tams: {fault}", err=True)
    if faults:
        sys.exit(1)


def _faults_of_all() -> Iterator[str]:
    processes = list(_roots())
    if not processes:
        yield _NO_PROCESS
    for process in processes:
        yield from _faults(process)


def _roots() -> Iterator[_Process]:
    """Yield the processes of the store that no other of them has started."""
    processes = {process.pid: process for process in _running()}
    return (process for process in processes.values() if process.parent not in processes)


def _running() -> Iterator[_Process]:
    here = Path.cwd()
    for folder in _PROCESSES.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (folder / "cwd").readlink() != here:
                continue
            arguments = (folder / "cmdline").read_text(errors="replace").split("\0")[:-1]
            # The name of the program, in parentheses, may hold spaces.
            parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended, or belongs to another user
        command = _command(arguments)
        if command is not None:
            yield _Process(int(folder.name), parent, command[0], tuple(command[1:]))


def _command(arguments: list[str]) -> list[str] | None:
    """Return the command of `tams` and its arguments, None if Python runs something else.

    An init process that was given `tams serve` to start is not Python.
    """
    if not arguments or not Path(arguments[0]).name.startswith("python"):
        return None
    for program, rest in ((arguments[1:2], arguments[2:]), (arguments[1:3], arguments[3:])):
        if (program == ["-m", "tams.commands.main"] or [Path(word).name for word in program] == ["tams"]) and (
            rest and rest[0] in _COMMANDS
        ):
            return rest
    return None


def _faults(process: _Process) -> Iterator[str]:
    if process.command == "worker":
        return _faults_of_worker(process.pid)
    from tams.commands.serve import serve

    options = serve.make_context("serve", list(process.arguments), resilient_parsing=True).params
    host, port = options["host"], options["port"]
    if port == 0:
        return iter([f"`tams serve` {process.pid} has chosen its port by itself: name it with --url."])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 — an address to connect to
    return _faults_of_server(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def _faults_of_server(url: str) -> Iterator[str]:
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    # gunicorn mounts the application below this path.
    path = (target.path or os.environ.get("SCRIPT_NAME", "")).rstrip("/") + "/health/live"
    try:
        connection = kind(target.netloc, timeout=_PATIENCE)
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        yield f"{url} does not answer: {str(error) or type(error).__name__}"
        return
    if status != http.client.OK:
        yield f"{url}{path} answers {status}."


def _faults_of_worker(pid: int) -> Iterator[str]:
    """Yield a fault unless a thread of the process runs within `_PATIENCE`: idle threads wake every second."""
    before = _switches(pid)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(_INTERVAL)
        if _switches(pid) > before:
            return
    yield f"`tams worker` {pid} has made no progress for {_PATIENCE:.0f} seconds."


def _switches(pid: int) -> int:
    """Return how often the threads of a process have been given the processor; 0 if it has ended."""
    total = 0
    for status in _PROCESSES.glob(f"{pid}/task/*/status"):
        try:
            lines = status.read_text(errors="replace").splitlines()
        except OSError:
            continue
        total += sum(int(line.partition(":")[2]) for line in lines if "ctxt_switches:" in line)
    return total
