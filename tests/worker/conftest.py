"""A store with a worker beside it, in this process, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tams.config import Settings
from tests.support.databases import NewDatabase, engine
from tests.support.repository_steps import environment_of
from tests.support.worker_site import Site


@pytest.fixture(params=[engine(name) for name in ("sqlite", "postgresql", "vast_roomy")])
def database_url(request: pytest.FixtureRequest) -> str:
    """Create an empty database, once per adapter."""
    new: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return new()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Return settings by which the store may send to this machine, and waits only briefly."""
    return Settings.from_env(
        environment_of(database_url),
        environment="development",
        data_dir=tmp_path / "data",
        secret_key="k" * 32,
        webhook_key="w" * 32,
        outbound_allow=("127.0.0.1",),
        webhook_timeout=1,
        webhook_retries=(0, 0),
        job_lease=5,
    )


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """Open a store for the test."""
    site = Site(settings)
    yield site
    site.store.repository.close()
