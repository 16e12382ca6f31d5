"""The whole way of real media: in by Objects and Segments, out by time, reused, deleted, and nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import NewDatabase, engine
from tests.support.real_media import (
    TestDeleting,
    TestInitialisationSegments,
    TestReading,
    TestReuse,
    archive,
    edit,
    served,
)
from tests.support.servers import TamsStore

__all__ = ["TestDeleting", "TestInitialisationSegments", "TestReading", "TestReuse", "archive", "edit"]

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=[engine(name) for name in ("sqlite", "postgresql", "vast_roomy")])
def new(request: pytest.FixtureRequest) -> NewDatabase | None:
    """Makes an empty database; None for the SQLite file that a store has by itself."""
    return None if request.param == "sqlite" else request.getfixturevalue(f"new_{request.param}")


@pytest.fixture(scope="module")
def running(new: NewDatabase | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TamsStore]:
    """A store of two processes that answer and one that works. Nothing may have gone wrong in it at the end."""
    yield from served(TamsStore(tmp_path_factory.mktemp("tams"), None if new is None else new()))


@pytest.fixture
def store(new: NewDatabase | None, running: TamsStore, tmp_path: Path) -> Iterator[TamsStore]:
    """The same, fresh. The other one is stopped: its worker would do the work of this one, in its own directory."""
    running.stop()
    yield from served(TamsStore(tmp_path, None if new is None else new()))
