"""Find phrases that the project's writing rules exclude: `python -m tools.prose [PATH]...`.

The rules are on the page about writing in `docs/contributing`. Each pattern stands beside what to write instead. Exits
with 1 if a pattern is found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]


class Rule(NamedTuple):
    """A pattern for one line, and the advice that is printed with it."""

    pattern: re.Pattern[str]
    advice: str


def _rule(pattern: str, advice: str) -> Rule:
    return Rule(re.compile(pattern), advice)


RULES: Final = (
    _rule(r"\b[Ww]hoever\b|\b[Ww]homever\b|\b[Ww]hosever\b", "name the client, caller, operator or process"),
    _rule(r"\b([Ss]ome|[Ee]very|[Nn]o)body\b", "name the client, caller, user or process"),
    _rule(r"\b[Ff]or ever\b", "write 'forever', or say until when"),
    _rule(r"\bnot to be (known|had|found)\b", "say what is unknown, unavailable or missing"),
    _rule(r"\b(is|are|was|were) told (of|about|that|which|so|by|where|how)\b", "say what is reported, and to whom"),
    _rule(r"\bthe same where\b|\bwhere there is none\b|\bwhere that is anything\b", "say what happens, positively"),
    _rule(r"\bwhat (somebody|everybody|nobody) sees\b", "name the visibility rule"),
    _rule(r"\bof one's own\b", "write 'its own' or 'a separate'"),
    _rule(r'"""(The same|What|Those|Whether|How|Where|Which|When|Who|That)\b', "start a docstring with a verb"),
)
"""Extend this tuple to exclude another phrase."""

SUFFIXES: Final = {".py", ".md", ".toml", ".cfg", ".sh", ".yml", ".yaml"}


def violations(paths: Iterable[Path]) -> Iterator[str]:
    """Yield a line of text for each excluded phrase: path, line number, the phrase, and the advice."""
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            for rule in RULES:
                match = rule.pattern.search(line)
                if match:
                    yield f"{path}:{number}: {match[0]!r}: {rule.advice}"


def tracked_files(folders: Iterable[str]) -> list[Path]:
    """Return the text files below `folders` that git tracks, except this one."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listing.stdout.splitlines())
    return [path for path in paths if path.suffix in SUFFIXES and path.exists() and path != Path(__file__)]


def main(arguments: list[str]) -> int:
    """Print every violation in the given folders (default: the whole project); return the exit code."""
    lines = [line.removeprefix(f"{ROOT}/") for line in violations(tracked_files(arguments or ["."]))]
    for line in lines:
        print(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
