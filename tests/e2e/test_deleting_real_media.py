"""Deleting real media on each database, until nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import NewDatabase, engine
from tests.support.real_media import TestDeleting, served
from tests.support.servers import TamsStore

__all__ = ["TestDeleting"]

pytestmark = pytest.mark.e2e


@pytest.fixture(params=[engine(name) for name in ("sqlite", "postgresql", "vast_roomy")])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TamsStore]:
    """Run a new store with two server processes and a worker, and check at the end that it logged no error."""
    new: NewDatabase | None = None if request.param == "sqlite" else request.getfixturevalue(f"new_{request.param}")
    yield from served(TamsStore(tmp_path, None if new is None else new()))
