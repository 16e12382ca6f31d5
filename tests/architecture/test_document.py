"""The list of folders in `docs/architecture.md` is complete and correct."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tams"
DOCUMENT = ROOT / "docs" / "architecture.md"


@pytest.fixture
def listed() -> list[str]:
    """Return the paths of the first block, each in full; two spaces of indentation are one level."""
    block = re.search(r"```text\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert block is not None
    paths: list[str] = []
    parents: list[str] = []
    for line in block[1].splitlines():
        match = re.match(r"^((?:  )*)(\S+)(?:\s|$)", line)
        if match is None or len(match[1]) > 8:
            continue  # the description continues
        depth = len(match[1]) // 2
        path = "".join(parents[:depth]) + match[2]
        parents[depth:] = [match[2]]
        paths.append(path)
    return paths


def test_everything_in_the_list_exists(listed: list[str]) -> None:
    assert [path for path in listed if not list(ROOT.glob(path))] == []


def test_every_folder_of_the_code_is_in_the_list(listed: list[str]) -> None:
    folders = {
        f"{path.parent.relative_to(ROOT)}/"
        for path in PACKAGE.rglob("__init__.py")
        if path.parent != PACKAGE and len(path.parent.relative_to(PACKAGE).parts) <= 3
    }
    assert {path for path in listed if re.fullmatch(r"tams/.*/", path)} == folders


def test_every_top_level_folder_of_the_project_is_in_the_list(listed: list[str]) -> None:
    assert {"migrations/", "tests/", "tools/", "docs/"} <= set(listed)


def test_every_file_that_the_page_names_exists() -> None:
    names = re.findall(r"`([\w./]+(?:/|\.py))`", DOCUMENT.read_text())
    roots = [ROOT, PACKAGE, PACKAGE / "api", PACKAGE / "repository"]
    assert names
    assert [name for name in names if not any((root / name).exists() for root in roots)] == []
