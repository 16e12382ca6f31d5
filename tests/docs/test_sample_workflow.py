"""`docs/SAMPLE_WORKFLOW.md` is true: every command in it runs, and every answer is the one that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import Reader, Shell, curls, examples
from tests.support.servers import TamsStore, eventually

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs" / "SAMPLE_WORKFLOW.md"


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


def test_there_are_fifteen_steps() -> None:
    steps = re.findall(r"^## (\d+)\. ", PAGE.read_text(), re.MULTILINE)
    assert steps == [str(number) for number in range(1, 16)]


def test_every_command_shows_its_answer() -> None:
    first, *others = examples(PAGE.read_text())
    assert "curl" not in first.commands
    assert all(example.language for example in others)
