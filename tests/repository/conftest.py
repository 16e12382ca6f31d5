"""Fixtures that run each test of the contract suite with an empty repository of every engine."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator

import pytest

from tams.repository.port import Repository
from tests.support.databases import NewDatabase, engine
from tests.support.repository_steps import open_repository

ALL_MODES = os.environ.get("TAMS_TEST_VAST_MODES") == "all"
"""True if every test runs in each mode of VAST Database (`make test-vast-modes`).

Otherwise only tests with the marker `vast_modes` do, which are about writers that contend.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each engine: tests in `sql/` with its two databases, the others with VAST Database as well."""
    if "database_url" not in metafunc.fixturenames:
        return
    engines = ["sqlite", "postgresql"]
    if metafunc.definition.path.parent.name != "sql":
        engines += ["vast", *(f"vast_{mode}" for mode in _modes(metafunc))]
    metafunc.parametrize("database_url", [engine(name) for name in engines], indirect=True)


def _modes(metafunc: pytest.Metafunc) -> list[str]:
    """Return the modes of VAST Database, besides claims, that a test runs in."""
    if ALL_MODES:
        # A test that takes the URL itself gives it to other processes, of which only one may write in `single` mode.
        passes_on = "database_url" in inspect.signature(metafunc.function).parameters
        return ["stripes", "stripes_early"] if passes_on else ["stripes", "single"]
    marker = metafunc.definition.get_closest_marker("vast_modes")
    return list(marker.args) if marker else []


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database of an engine."""
    new: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return new()


@pytest.fixture
def repository(database_url: str) -> Iterator[Repository]:
    """Yield an empty repository of an engine."""
    repository = open_repository(database_url)
    yield repository
    repository.close()
