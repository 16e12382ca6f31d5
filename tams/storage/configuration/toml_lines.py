"""The line of a value in a TOML text."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any


def line_of(text: str, path: tuple[str | int, ...]) -> int:
    """Return the number of the line where the value at `path` begins; 1 if there is no such value.

    `path` consists of the keys and indexes that lead to the value. The parser keeps no line numbers, so this searches
    for the shortest beginning of the text that is valid TOML and contains the value: the value's statement ends there.
    """
    begin = 1
    for end, beginning in _beginnings(text):
        try:
            document = tomllib.loads(beginning)
        except tomllib.TOMLDecodeError:
            continue
        if _contains(document, path):
            lines = text.splitlines()[begin - 1 : end]
            blank = next((n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
            return begin + blank
        begin = end + 1
    return 1


def _beginnings(text: str) -> Iterator[tuple[int, str]]:
    """Yield every beginning of the text that ends with a line, and the number of that line."""
    beginning = ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        beginning += line
        yield number, beginning


def _contains(document: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        if isinstance(step, int):
            if not isinstance(document, list) or len(document) <= step:
                return False
        elif not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return True
