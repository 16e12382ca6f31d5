"""Real media on each database: ingested as Objects and Segments, read by time, and reused."""

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
    """Run a store with two server processes and a worker, and check at the end that it logged no error."""
    new: NewDatabase | None = None if request.param == "sqlite" else request.getfixturevalue(f"new_{request.param}")
    yield from served(TamsStore(tmp_path_factory.mktemp("tams"), None if new is None else new()))
