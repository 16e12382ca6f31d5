"""The search for phrases that the project's writing rules exclude: `python -m tools.prose [PATH]...`.

The rules are in docs/contributing/writing.md. Each pattern stands beside the advice on what to write instead. The exit
code is 1 if a pattern is found.
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
    """A pattern for one line, the advice that is printed with it, and a line before and after following the advice."""

    pattern: re.Pattern[str]
    advice: str
    example: str
    correction: str


def _rule(pattern: str, advice: str, example: str, correction: str) -> Rule:
    return Rule(re.compile(pattern), advice, example, correction)


RULES: Final = (
    _rule(
        r"\b[Ww]hoever\b|\b[Ww]homever\b|\b[Ww]hosever\b",
        "name the client, caller, operator or process",
        "# Held by whoever changes the rows.",
        "# Held by the transaction that changes the rows.",
    ),
    _rule(
        r"\b([Ss]ome|[Ee]very|[Nn]o)body\b",
        "name the client, caller, user or process",
        "# Nobody else reads this row.",
        "# No other transaction reads this row.",
    ),
    _rule(
        r"\b[Ff]or ever\b",
        "write 'forever', or say until when",
        "# The claim stands for ever.",
        "# The claim is held until its process ends it.",
    ),
    _rule(
        r"\bnot to be (known|had|found)\b",
        "say what is unknown, unavailable or missing",
        "# The size is not to be known here.",
        "# The size is unknown here.",
    ),
    _rule(
        r"\b(is|are|was|were) told (of|about|that|which|so|by|where|how)\b",
        "say what is reported, and to whom",
        "# The client is told of the conflict.",
        "# The conflict is reported to the client.",
    ),
    _rule(
        r"\bthe same where\b|\bwhere there is none\b|\bwhere that is anything\b",
        "say what happens, positively",
        "# The Flow, or None where there is none.",
        "# The Flow, or None if it does not exist.",
    ),
    _rule(
        r"\bwhat (somebody|everybody|nobody) sees\b",
        "name the visibility rule",
        "# Restricted to what everybody sees.",
        "# Restricted to Objects without access classes.",
    ),
    _rule(
        r"\bof one's own\b",
        "write 'its own' or 'a separate'",
        "# The worker has a connection of one's own.",
        "# The worker has a separate connection.",
    ),
    _rule(
        r'"""(The same|What|Those|Whether|How|Where|Which|When|Who|That)\b',
        "start a docstring with a verb",
        '"""Whether the Flow exists."""',
        '"""Return True if the Flow exists."""',
    ),
)
"""The excluded phrases. Extend this tuple to exclude another one."""

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
    """Return the text files below `folders` that git does not ignore, except this one."""
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
