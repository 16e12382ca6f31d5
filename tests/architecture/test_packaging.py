"""The package metadata: every directory of the code is in the wheel."""

from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
