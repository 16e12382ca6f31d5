"""The package metadata: every directory of the code is in the wheel, which has a name of its own."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from tams import __version__

ROOT = Path(__file__).parents[2]
TEXTS = {".py", ".md", ".cfg", ".toml", ".txt", ".yml", ".yaml", ".sh", ".service", ".conf"}

BARE_NAME = re.compile(
    r"\b(?:pip3?|pipx|uv)(?: \w+)* install\b[^#`]*?[ '\"](?:tams|time-addressable-media-store)\b(?![/\\._-])"
)
"""A command that installs the store from an index, where the name `tams` is an unrelated project's."""


def test_every_package_is_listed() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts): path.parent for path in (ROOT / "tams").rglob("__init__.py")
    }
    migrations = {"tams_migrations", "tams_migrations.versions"}
    assert set(parser["options"]["packages"].split()) == set(packages) | migrations
    assert all(list(path.glob("*.py")) for path in packages.values())
    # A directory without `__init__.py` would be missing from the list without this test failing.
    assert {path.parent for path in (ROOT / "tams").rglob("*.py")} == set(packages.values())


def texts() -> list[Path]:
    """Return the files of the project that a user may read: code, configuration, documents."""
    folders = ("tams", "migrations", "docs", "tools", "tests", "deploy", ".ci", ".github")
    files = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    named = {"Makefile", "Dockerfile", "run"}
    return [path for path in files if path != Path(__file__) and (path.suffix in TEXTS or path.name in named)]


def test_nothing_installs_the_store_by_a_bare_name() -> None:
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in texts()
        for line in path.read_text().splitlines()
        if BARE_NAME.search(line)
    ]
    assert lines == []


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("pip install 'tams[vast]'", True),
        ("python -m pip install --upgrade tams", True),
        ("pip install time-addressable-media-store", True),
        ("pipx install tams", True),
        ("pip install --editable '.[vast]'", False),
        ("pip install 'dist/time_addressable_media_store-0.1.0-py3-none-any.whl[vast]'", False),
        ("pip uninstall --yes tams", False),
    ],
)
def test_a_bare_name_is_recognized(line: str, bare: bool) -> None:
    assert bool(BARE_NAME.search(line)) is bare


def test_the_documents_name_the_wheel_that_make_builds() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    wheel = f"{parser['metadata']['name'].replace('-', '_')}-{__version__}-py3-none-any.whl"
    wheels = set(re.findall(r"[\w.-]+\.whl", "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))))
    assert wheels == {wheel}
