"""What is only about SQL is tried on SQL only."""

from __future__ import annotations

import pytest

from tests.repository.conftest import NewDatabase


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each of the two."""
    new: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return new()
