"""Runs the `sh` blocks of a document in one shell, and compares their output with the answers in the document.

An answer is the block that follows the commands: `http` is the output of `curl -i` (the status line, some of the
headers, and JSON, which may span lines), `json` is a body alone, `text` is the exact output. Commands without an answer
only have to succeed.

`<…>` in an answer stands for a text that differs at each run. Its last word says of which kind it is (`KINDS`). A
placeholder of several words is a name: it stands for the same text everywhere, also in later commands.
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

_PROGRAMS: Final = """
    awk base64 basename bash cat chmod chown cmp cp cut date dd df diff dirname du echo env expr false find grep gzip
    head id install ln ls mkdir mktemp mv nl nproc od paste printf pwd readlink realpath rm rmdir sed seq sh sha256sum
    sleep sort split stat sync tail tar tee test timeout touch tr true tty uname uniq wc which xargs
"""
"""The programs of a slim Debian, beside Python and curl, which the documents ask for."""

_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"<([A-Za-z ]+)>")
_END: Final = "\x1e"


@dataclass(frozen=True)
class Example:
    """Commands, and the answer in the document (its language and text), empty if the document has none."""

    line: int
    commands: str
    language: str = ""
    answer: str = ""


def examples(document: str) -> list[Example]:
    """Return the commands of a Markdown document in order, each with its answer."""
    blocks: list[Example] = []
    for fence in _FENCE.finditer(document):
        language, text = fence.groups()
        if language == "sh":
            blocks.append(Example(document.count("\n", 0, fence.start()) + 1, text))
        elif language in {"http", "json", "text"} and blocks and not blocks[-1].language:
            blocks[-1] = Example(blocks[-1].line, blocks[-1].commands, language, text)
    return blocks


class Shell:
    """One bash for all commands of a document, so that variables keep their values. stderr is merged into stdout."""

    def __init__(self, directory: Path, *, own_curl: bool) -> None:
        """Start bash in `directory` with what a slim Debian has. With `own_curl`, `curl` is always the stand-in."""
        self._programs = directory / ".programs"
        self._programs.mkdir()
        for name in _PROGRAMS.split():
            if path := shutil.which(name):
                (self._programs / name).symlink_to(path)
        (self._programs / "python3").symlink_to(sys.executable)
        if own_curl:
            self.add_program("curl", f'exec "{sys.executable}" -IS "{STAND_IN}" "$@"')
        else:
            (self._programs / "curl").symlink_to(str(shutil.which("curl")))
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.run(f"PATH='{self._programs}'; set -o pipefail")

    def add_program(self, name: str, script: str) -> None:
        """Put a program on the path: a script for sh."""
        program = self._programs / name
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self, commands: str) -> str:
        """Run the commands, which have to succeed; return what they print."""
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
    """Follows a document, and fills the variable parts of each answer into the commands that follow."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._names: dict[str, str] = {}

    def follow(self, example: Example) -> None:
        """Run the commands and compare their output with the answer in the document."""
        printed = self._shell.run(self._filled_in(example.commands))
        if example.language == "http":
            self._compare_http(printed, example.answer)
        elif example.language == "json":
            self._compare(json.loads(printed), json.loads(example.answer), "body")
        elif example.language == "text":
            self._compare(printed.strip(), example.answer.strip(), "output")

    def _filled_in(self, commands: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self._names[match[1]], commands)

    def _compare_http(self, printed: str, answer: str) -> None:
        printed = printed.replace("\r\n", "\n")
        # An upload gets two responses: 100 Continue comes first.
        while printed.startswith("HTTP/1.1 100"):
            printed = printed.partition("\n\n")[2]
        status, headers, body = _message(printed)
        expected_status, expected_headers, expected_body = _message(answer)
        assert status == expected_status, printed
        for name, value in expected_headers.items():
            self._compare(headers.get(name), value, name)
        if expected_body:
            self._compare(json.loads(body), json.loads(expected_body), "body")
        else:
            assert body == ""

    def _compare(self, actual: Any, expected: Any, where: str) -> None:
        if isinstance(expected, dict) and isinstance(actual, dict):
            assert sorted(actual) == sorted(expected), where
            for name, value in expected.items():
                self._compare(actual[name], value, f"{where}.{name}")
        elif isinstance(expected, list) and isinstance(actual, list):
            assert len(actual) == len(expected), f"{where}: {actual}"
            for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
                self._compare(one, other, f"{where}[{index}]")
        elif isinstance(expected, str) and isinstance(actual, str) and _PLACEHOLDER.search(expected):
            self._match(actual, expected, where)
        else:
            assert (type(actual), actual) == (type(expected), expected), where

    def _match(self, actual: str, expected: str, where: str) -> None:
        fixed, pattern, names = _PLACEHOLDER.split(expected), "", []
        for index, piece in enumerate(fixed):
            if index % 2 == 0:
                pattern += re.escape(piece)
            elif piece in self._names:
                pattern += re.escape(self._names[piece])
            else:
                pattern += f"({KINDS[piece.split()[-1].lower()]})"
                names.append(piece)
        match = re.fullmatch(pattern, actual)
        assert match, f"{where}: {actual!r} is not as shown: {expected!r}"
        self._names |= {name: text for name, text in zip(names, match.groups(), strict=True) if " " in name}


def curls() -> list[bool]:
    """Return the values of `own_curl` to test with: the stand-in always, and curl itself if the machine has it."""
    return [True, False] if shutil.which("curl") else [True]


def _message(text: str) -> tuple[str, dict[str, str], str]:
    """Split a response into its status line, its headers by name in lower case, and its body."""
    head, _, body = text.strip("\n").partition("\n\n")
    status, _, lines = head.partition("\n")
    headers = Parser().parsestr(lines)
    return status, {name.lower(): value for name, value in headers.items()}, body.strip()
