"""Runs the shell blocks of a how-to page as its reader does: in order, in one bash, on what a slim Debian has."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.documents import Shell
from tests.support.servers import eventually

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SHELL: Final = {"sh", "bash", "console"}
_BIN: Final = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, and its text without the indentation of the list that it stands in."""

    line: int
    language: str
    text: str

    @property
    def is_shell(self) -> bool:
        """Return whether a reader would paste the block into a shell."""
        return self.language in _SHELL or (not self.language and re.match(r"\$ |[a-z./]+ ", self.text) is not None)

    @property
    def commands(self) -> str:
        """Return what the reader types: of a session (`$ …`) without prompts and output."""
        typed = re.findall(r"^\$ (.*)$", self.text, re.MULTILINE)
        return "\n".join(typed) if typed else self.text


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text()
    return [
        Block(text.count("\n", 0, fence.start()) + 1, fence[2], textwrap.dedent(fence[3]))
        for fence in _FENCE.finditer(text)
    ]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Recipe:
    """A page, and the shell that its blocks are run in. Leaving the context ends every server that they started."""

    def __init__(self, page: Path, directory: Path, *, clone: bool = False, programs: Sequence[str] = ()) -> None:
        """Open a shell in `directory`, as on a machine where only this store is installed.

        Servers listen on a free port in place of 8000. In a `clone`, nothing is installed yet. `programs` are those
        that the page asks for.
        """
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._page = page
        self._blocks = iter([block for block in blocks(page) if block.is_shell])
        self._groups: list[int] = []
        self._numbers = itertools.count()
        self.shell = Shell(directory, own_curl=True)
        self.shell.run("unset ${!TAMS_*} ${!PYTHON*} ${!PIP_*} ${!MAKE*} LOG_LEVEL; export ENVIRONMENT=development")
        for name in programs:
            self.shell.add_program(name, f'exec {shutil.which(name)} "$@"')
        if not clone:
            serve = f'[ "$1" = serve ] && {{ shift; exec "{_BIN}/tams" serve --port {self.port} "$@"; }}'
            self.shell.add_program("tams", f'{serve}\nexec "{_BIN}/tams" "$@"')
            self.shell.add_program("gunicorn", f'exec "{_BIN}/python" -P -m gunicorn "$@"')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.shell.__exit__(kind, error, trace)
        if error is None:
            left = [block.text for block in self._blocks]
            assert left == [], f"{self._page.name}: not followed"

    def block(self, language: str, start: str = "") -> str:
        """Return the only block of the page in this language that begins so."""
        (block,) = [
            block for block in blocks(self._page) if block.language == language and block.text.startswith(start)
        ]
        return block.text

    def skip(self, start: str) -> None:
        """Pass over the next block, which begins so and is listed as one that cannot run here."""
        commands = next(self._blocks).commands
        assert commands.startswith(start), commands

    def follow(self, names: Mapping[str, str] | None = None) -> str:
        """Run the next block, with real names in place of those of the example; return what it prints.

        Every command has to succeed.
        """
        failure = "trap 'failure=$BASH_COMMAND' ERR"
        return self.shell.run(f'failure=; {failure}\n{self._filled_in(names)}\ntrap - ERR; [ -z "$failure" ]')

    def serve(self, ready: str, names: Mapping[str, str] | None = None) -> Path:
        """Run the next block, whose last command serves until it is stopped; wait until it logs `ready`.

        Returns its log.
        """
        log = self.directory / f"server-{next(self._numbers)}.log"
        log.touch()
        # A job of its own group, which Ctrl-C in the reader's terminal would reach.
        commands = f"set -m; {{ {self._filled_in(names)}\n}} > {shlex.quote(str(log))} 2>&1 & set +m; echo $!"
        self._groups.append(int(self.shell.run(commands).split()[-1]))
        eventually(lambda: ready in log.read_text(), f"{self._page.name} serves, see {log}")
        return log

    def stop(self) -> None:
        """Stop the servers, as Ctrl-C does, and wait until they have ended."""
        for group in self._groups:
            os.killpg(group, signal.SIGTERM)
        for group in self._groups:
            eventually(lambda group=group: not _runs(group), "the server has stopped")  # type: ignore[misc]
        self._groups.clear()

    def _filled_in(self, names: Mapping[str, str] | None) -> str:
        commands = next(self._blocks).commands.replace("http://127.0.0.1:8000", self.url)
        commands = commands.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        for name, value in (names or {}).items():
            assert name in commands, f"{name} is not in:\n{commands}"
            commands = commands.replace(name, value)
        return commands


def _runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
