"""A store and its workers, as threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient

from tams import worker
from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.domain.webhooks import EVENT_TYPES
from tams.services.store import Store


class Site:
    """A store, a client of it, and workers that run as long as a test needs them."""

    def __init__(self, settings: Settings) -> None:
        settings.prepare_data_dir()
        app = create_app(settings)
        self.client: FlaskClient = app.test_client()
        self.store: Store = app.extensions[STORE]

    @contextmanager
    def working(self, workers: int = 1) -> Iterator[None]:
        """Run workers until the block ends."""
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
        """Register a webhook for every type of event; return its id."""
        answer = self.client.post("/service/webhooks", json={"url": url, "events": list(EVENT_TYPES), **more})
        assert answer.status_code == 201, answer.text
        assert answer.json is not None
        return str(answer.json["id"])

    def webhook(self, webhook_id: str) -> dict[str, Any]:
        """Return the webhook's document from the API."""
        document = self.client.get(f"/service/webhooks/{webhook_id}").json
        assert document is not None
        return dict(document)
