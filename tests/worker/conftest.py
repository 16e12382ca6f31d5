"""A store with a worker beside it, in this process, on each database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams import worker
from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.domain.webhooks import EVENT_TYPES
from tams.services.store import Store
from tests.repository.conftest import NewDatabase, new_postgresql, new_sqlite, postgresql_server, roomy_vast
from tests.repository.steps import environment_of

__all__ = ["new_postgresql", "new_sqlite", "postgresql_server", "roomy_vast"]


class Site:
    """A store, a client of it, and workers for a while."""

    def __init__(self, settings: Settings) -> None:
        settings.prepare_data_dir()
        app = create_app(settings)
        self.client: FlaskClient = app.test_client()
        self.store: Store = app.extensions[STORE]

    @contextmanager
    def working(self, workers: int = 1) -> Iterator[None]:
        """Workers that run meanwhile."""
        stop = threading.Event()
        threads = [threading.Thread(target=worker.run, args=(self.store, stop)) for _ in range(workers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def register(self, url: str, **more: Any) -> str:
        """A webhook for everything; its id."""
        answer = self.client.post("/service/webhooks", json={"url": url, "events": list(EVENT_TYPES), **more})
        assert answer.status_code == 201, answer.text
        assert answer.json is not None
        return str(answer.json["id"])

    def webhook(self, webhook_id: str) -> dict[str, Any]:
        """What the API says of it."""
        found = self.client.get(f"/service/webhooks/{webhook_id}").json
        assert found is not None
        return dict(found)


@pytest.fixture(params=["new_sqlite", "new_postgresql", "roomy_vast"], ids=["sqlite", "postgresql", "vast"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each adapter."""
    new: NewDatabase = request.getfixturevalue(request.param)
    return new()


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """What the store under test is set to: it may send to this machine, and does not wait for long."""
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
    """The store."""
    made = Site(settings)
    yield made
    made.store.repository.close()
