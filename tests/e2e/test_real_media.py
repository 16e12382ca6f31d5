"""The whole way of real media on each database: in by Objects and Segments, out by time, and reused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import NewDatabase, engine
from tests.support.real_media import TestInitialisationSegments, TestReading, TestReuse, archive, edit, served
from tests.support.servers import TamsStore

__all__ = ["TestInitialisationSegments", "TestReading", "TestReuse", "archive", "edit"]

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=[engine(name) for name in ("sqlite", "postgresql", "vast_roomy")])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TamsStore]:
    """A store of two processes that answer and one that works. Nothing may have gone wrong in it at the end."""
    new: NewDatabase | None = None if request.param == "sqlite" else request.getfixturevalue(f"new_{request.param}")
    yield from served(TamsStore(tmp_path_factory.mktemp("tams"), None if new is None else new()))
