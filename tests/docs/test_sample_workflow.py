"""Every command of the tutorials runs, and every answer is the one that they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import Reader, Shell, curls, examples
from tests.support.servers import TamsStore, eventually

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "SAMPLE_WORKFLOW.md"
FIRST_UPLOAD = DOCS / "tutorial" / "first-upload.md"


@pytest.mark.parametrize("own_curl", curls(), ids=lambda own_curl: "stand-in" if own_curl else "curl")
def test_every_request_is_answered_as_shown(store: TamsStore, tmp_path: Path, own_curl: bool) -> None:
    document = PAGE.read_text().replace("http://127.0.0.1:8000", store.url)
    directory = tmp_path / "work"
    directory.mkdir()
    with Shell(directory, own_curl=own_curl) as shell:
        reader = Reader(shell)
        for example in examples(document):
            reader.follow(example)
    eventually(lambda: not store.media_files(), "the bytes are gone")
    assert set(store.rows()) == {"jobs"}


def test_the_first_upload_works_and_cleans_up(store: TamsStore, tmp_path: Path) -> None:
    directory = tmp_path / "work"
    directory.mkdir()
    with Shell(directory, own_curl=True) as shell:
        reader = Reader(shell)
        for example in examples(FIRST_UPLOAD.read_text().replace("http://127.0.0.1:8000", store.url)):
            reader.follow(example)
    eventually(lambda: not store.media_files(), "the bytes are gone")
    assert set(store.rows()) == {"jobs"}


def test_the_first_upload_is_that_of_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    upload = readme.partition("## First upload")[2].partition("## ")[0]
    commands = [example.commands for example in examples(upload)]
    assert [example.commands for example in examples(FIRST_UPLOAD.read_text())][: len(commands)] == commands


def test_there_are_fifteen_steps() -> None:
    steps = re.findall(r"^## (\d+)\. ", PAGE.read_text(), re.MULTILINE)
    assert steps == [str(number) for number in range(1, 16)]


def test_every_command_shows_its_answer() -> None:
    first, *others = examples(PAGE.read_text())
    assert "curl" not in first.commands
    assert all(example.language for example in others)
