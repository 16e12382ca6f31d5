"""Running stores, for the commands that the documents print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import TamsStore, faultless


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TamsStore]:
    """Start an empty store."""
    with faultless(TamsStore(tmp_path)) as store:
        yield store
