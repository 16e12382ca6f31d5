"""Every page, link, command, target, setting and path that the documents name exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tams.commands.main import commands
from tams.config import documentation
from tools.bench import documented, report, table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TOP_LEVEL = sorted(ROOT.glob("*.md"))
DOCUMENTS = [*TOP_LEVEL, *PAGES]

NOT_SETTINGS = re.compile(r"TAMS_(HOST|PORT|CLIENT|SERVICE|TEST|STORAGE|S3|BENCH_ARCHIVES|TEST_\w+)")
"""Variables of orchestrators, clients, tests and the benchmark, and prefixes in text such as `TAMS_S3_…`."""

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"(?:tams|tests|tools|docs|migrations)/[\w./-]*")


def name(path: Path) -> str:
    """Return the path as pytest shows it."""
    return str(path.relative_to(ROOT))


def text_without_fences(path: Path) -> str:
    """Return the text of a document without its fenced blocks."""
    return FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as both MkDocs and repository browsers make them."""
    headings = re.findall(r"^#+ (.+)$", text_without_fences(path), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def code(path: Path) -> Iterator[str]:
    """Yield the pieces of code in a document: lines of fenced shell blocks, and code spans."""
    for _, language, block in FENCE.findall(path.read_text()):
        if language in {"sh", "console", ""}:
            yield from (line.strip().removeprefix("$ ") for line in block.splitlines())
    yield from (re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", text_without_fences(path)))


def navigation(node: object) -> Iterator[str]:
    """Yield the pages in a part of the navigation of `mkdocs.yml`."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for child in node:
            yield from navigation(child)
    elif isinstance(node, dict):
        for child in node.values():
            yield from navigation(child)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_relative_link_resolves(document: Path) -> None:
    broken = []
    for link in LINK.findall(text_without_fences(document)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        path = (document.parent / target).resolve() if target else document
        if not path.is_file() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_of_pages_stay_inside_the_folder(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(text_without_fences(page)) if ":" not in link]
    assert [target for target in targets if not (page.parent / target).resolve().is_relative_to(DOCS)] == []


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(navigation(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(listed) == [str(page.relative_to(DOCS)) for page in PAGES]


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    reached = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text()) if ":" not in link}
    decisions = set((DOCS / "decisions").glob("0*.md"))
    assert set(PAGES) - reached - decisions == {index}


def test_the_index_of_decisions_lists_them_all() -> None:
    index = DOCS / "decisions" / "index.md"
    numbers = re.findall(r"^\| \[(\d{4})\]\((\d{4})-[\w-]+\.md\)", index.read_text(), re.MULTILINE)
    assert [number for number, _ in numbers] == [number for _, number in numbers]
    assert [number for number, _ in numbers] == sorted(page.name[:4] for page in index.parent.glob("0*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_target_of_make_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {target for line in code(document) for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)\b", line)}
    assert used - targets == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_command_exists(document: Path) -> None:
    missing = []
    for line in code(document):
        match = re.match(r"(?:\w+=\S* )*tams ([a-z].*)$", line)
        if match is None:
            continue
        node: click.Command = commands
        for word in shlex.split(match[1].partition("#")[0].replace("[", "").replace("]", "")):
            if not isinstance(node, click.Group):
                options = {option for parameter in node.params for option in parameter.opts}
                if word.startswith("--") and word not in options:
                    missing.append(line)
            else:
                command = node.get_command(click.Context(node), word)
                if command is None:
                    missing.append(line)
                    break
                node = command
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_variable_is_a_setting(document: Path) -> None:
    settings = {setting.variable for setting in documentation()}
    settings |= {f"{setting.variable}_FILE" for setting in documentation() if setting.secret}
    used = set(re.findall(r"\bTAMS_[A-Z0-9_]*[A-Z0-9]", document.read_text()))
    assert {variable for variable in used - settings if not NOT_SETTINGS.fullmatch(variable)} == set()


@pytest.mark.parametrize("document", [page for page in DOCUMENTS if page.name != "CHANGELOG.md"], ids=name)
def test_every_path_exists(document: Path) -> None:
    """The changelog names paths of earlier versions."""
    paths = {span for span in re.findall(r"`([^`\n]+)`", text_without_fences(document)) if PATH.fullmatch(span)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_the_page_of_figures_is_generated_from_the_data(tmp_path: Path) -> None:
    page = tmp_path / table.PAGE.name
    page.write_text(table.PAGE.read_text())
    documented.write_into(page, report.read(table.DATA))
    assert page.read_text() == table.PAGE.read_text()
    assert page.with_suffix(".svg").read_text() == table.PAGE.with_suffix(".svg").read_text()
