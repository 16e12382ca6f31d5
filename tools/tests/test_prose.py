"""The search for excluded phrases finds each of them, and nothing in correct sentences."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import prose

RULES = pytest.mark.parametrize("rule", prose.RULES, ids=lambda rule: rule.advice)


@RULES
def test_a_pattern_finds_its_example(rule: prose.Rule) -> None:
    assert rule.pattern.search(rule.example)


@RULES
def test_no_pattern_finds_a_corrected_line(rule: prose.Rule) -> None:
    assert [other.advice for other in prose.RULES if other.pattern.search(rule.correction)] == []


def test_a_violation_names_file_line_phrase_and_advice(tmp_path: Path) -> None:
    rule = prose.RULES[0]
    page = tmp_path / "page.md"
    page.write_text(f"{rule.correction}\n{rule.example}\n")
    match = rule.pattern.search(rule.example)
    assert match is not None
    assert list(prose.violations([page])) == [f"{page}:2: {match[0]!r}: {rule.advice}"]


def test_the_search_covers_text_files_and_leaves_itself_out() -> None:
    paths = prose.tracked_files(["tools", "docs"])
    assert prose.ROOT / "docs" / "contributing" / "writing.md" in paths
    assert Path(__file__) in paths
    assert prose.ROOT / "tools" / "prose.py" not in paths
    assert {path.suffix for path in paths} <= prose.SUFFIXES


def test_the_exit_code_is_1_if_a_phrase_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(prose.RULES[0].correction)
    assert prose.main([]) == 0
    page.write_text(prose.RULES[0].example)
    assert prose.main([]) == 1
    assert capsys.readouterr().out.startswith("page.md:1: ")
