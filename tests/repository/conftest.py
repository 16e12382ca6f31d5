"""The adapters under test. Each test gets an empty repository of each."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator

import pytest

from tams.repository.port import Repository
from tests.support.databases import NewDatabase
from tests.support.repository_steps import open_repository

EVERYWHERE = os.environ.get("TAMS_TEST_VAST_MODES") == "all"

"""Whether all tests run with each way to keep changes apart in VAST Database; otherwise those of `MODULES`."""

MODULES = {"test_concurrency", "test_deliveries", "test_segments", "test_transactions"}

CONTENDED = {
    "test_of_processes_that_register_overlapping_segments_exactly_one_wins",
    "test_no_update_is_lost_between_processes",
    "test_a_killed_writer_leaves_all_or_nothing",
}

"""What tells more of one kind of conflicts than of another."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which adapters a test runs with: what is only about SQL, with the two databases of that."""
    if "database_url" not in metafunc.fixturenames:
        return
    if metafunc.definition.path.parent.name == "sql":
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
        return
    adapters = ["sqlite", "postgresql", "vast"]
    module = metafunc.module.__name__.rpartition(".")[2]
    if module in MODULES or EVERYWHERE:
        adapters.append("vast_stripes")
        # What takes the URL itself gives it to other processes, of which a single one may write.
        if "database_url" not in inspect.signature(metafunc.function).parameters:
            if module != "test_concurrency" or EVERYWHERE:
                adapters.append("vast_single")
        elif metafunc.function.__name__ in CONTENDED or EVERYWHERE:
            adapters.append("vast_stripes_early")
    metafunc.parametrize("database_url", adapters, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each adapter."""
    new: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return new()


@pytest.fixture
def repository(database_url: str) -> Iterator[Repository]:
    """An empty repository of each adapter."""
    repository = open_repository(database_url)
    yield repository
    repository.close()
