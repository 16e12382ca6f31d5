"""Documents that are run: their `sh` blocks in one shell, the answer shown behind each compared with the real one.

An answer stands in the next block: `http` is what `curl -i` prints (the status line, some of the headers, JSON laid out
over lines), `json` a body alone, `text` the very output. A block of commands without such a block behind it only has
to succeed.

`<…>` in an answer stands for what differs each time. Its last word says of what kind it is (`KINDS`). One of several
words is a name: the same name always stands for the same text, also in the commands that come later.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

KINDS: Final = {
    "id": r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "url": r"https?://[^\s\"<>]+",
}

STAND_IN: Final = Path(__file__).with_name("curl.py")

_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"<([A-Za-z ]+)>")
_END: Final = "\x1e"


@dataclass(frozen=True)
class Example:
    """Commands, and the answer that the document shows (its language and text) where it shows one."""

    line: int
    commands: str
    language: str = ""
    answer: str = ""


def examples(document: str) -> list[Example]:
    """The commands of a Markdown document in order, each with its answer."""
    found: list[Example] = []
    for fence in _FENCE.finditer(document):
        language, text = fence.groups()
        if language == "sh":
            found.append(Example(document.count("\n", 0, fence.start()) + 1, text))
        elif language in {"http", "json", "text"} and found and not found[-1].language:
            found[-1] = Example(found[-1].line, found[-1].commands, language, text)
    return found


class Shell:
    """One bash for all commands of a document, so that its variables live on. Errors go where the output goes."""

    def __init__(self, directory: Path, *, own_curl: bool) -> None:
        """`own_curl`: `curl` is the stand-in, whether the machine has one or not."""
        programs = directory / ".programs"
        programs.mkdir()
        (programs / "python3").symlink_to(sys.executable)
        if own_curl:
            curl = programs / "curl"
            curl.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{STAND_IN}" "$@"\n')
            curl.chmod(0o755)
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.run(f"PATH='{programs}':$PATH; set -o pipefail")

    def run(self, commands: str) -> str:
        """What the commands print; they have to succeed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{{ {commands}\n}} < /dev/null; printf '{_END}%s{_END}' $?\n".encode())
        self._bash.stdin.flush()
        output = bytearray()
        while output.count(_END.encode()) < 2:
            piece = os.read(self._bash.stdout.fileno(), 65536)
            assert piece, f"the shell ended:\n{commands}\n{output.decode()}"
            output += piece
        printed, status, _ = output.decode().split(_END)
        assert status == "0", f"exit code {status}:\n{commands}\n{printed}"
        return printed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.communicate()


class Reader:
    """Somebody who follows a document, and takes each answer's variable parts over into the commands that follow."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._names: dict[str, str] = {}

    def follow(self, example: Example) -> None:
        """Run the commands and compare what they print with what the document shows."""
        printed = self._shell.run(self._filled_in(example.commands))
        if example.language == "http":
            self._compare_http(printed, example.answer)
        elif example.language == "json":
            self._compare(json.loads(printed), json.loads(example.answer), "body")
        elif example.language == "text":
            self._compare(printed.strip(), example.answer.strip(), "output")

    def _filled_in(self, commands: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self._names[match[1]], commands)

    def _compare_http(self, printed: str, shown: str) -> None:
        printed = printed.replace("\r\n", "\n")
        # An upload is answered twice: 100 Continue comes first.
        while printed.startswith("HTTP/1.1 100"):
            printed = printed.partition("\n\n")[2]
        (status, headers, body), (shown_status, shown_headers, shown_body) = _message(printed), _message(shown)
        assert status == shown_status, printed
        for name, value in shown_headers.items():
            self._compare(headers.get(name), value, name)
        if shown_body:
            self._compare(json.loads(body), json.loads(shown_body), "body")
        else:
            assert body == ""

    def _compare(self, actual: Any, shown: Any, where: str) -> None:
        if isinstance(shown, dict) and isinstance(actual, dict):
            assert sorted(actual) == sorted(shown), where
            for name, value in shown.items():
                self._compare(actual[name], value, f"{where}.{name}")
        elif isinstance(shown, list) and isinstance(actual, list):
            assert len(actual) == len(shown), f"{where}: {actual}"
            for index, (one, other) in enumerate(zip(actual, shown, strict=True)):
                self._compare(one, other, f"{where}[{index}]")
        elif isinstance(shown, str) and isinstance(actual, str) and _PLACEHOLDER.search(shown):
            self._match(actual, shown, where)
        else:
            assert (type(actual), actual) == (type(shown), shown), where

    def _match(self, actual: str, shown: str, where: str) -> None:
        fixed, pattern, names = _PLACEHOLDER.split(shown), "", []
        for index, piece in enumerate(fixed):
            if index % 2 == 0:
                pattern += re.escape(piece)
            elif piece in self._names:
                pattern += re.escape(self._names[piece])
            else:
                pattern += f"({KINDS[piece.split()[-1].lower()]})"
                names.append(piece)
        match = re.fullmatch(pattern, actual)
        assert match, f"{where}: {actual!r} is not as shown: {shown!r}"
        self._names |= {name: text for name, text in zip(names, match.groups(), strict=True) if " " in name}


def curls() -> list[bool]:
    """For `own_curl`: with the stand-in always, and with curl itself where the machine has it."""
    return [True, False] if shutil.which("curl") else [True]


def _message(text: str) -> tuple[str, dict[str, str], str]:
    """Status line, headers by name in lower case, body."""
    head, _, body = text.strip("\n").partition("\n\n")
    status, _, lines = head.partition("\n")
    headers = Parser().parsestr(lines)
    return status, {name.lower(): value for name, value in headers.items()}, body.strip()
