"""A server of one local Storage Backend in a separate process.

`local_storage_server.py ROOT DESCRIPTOR` serves the directory ROOT on the socket with that file descriptor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, g
from gunicorn.app.base import BaseApplication

from tams.api import errors, transfers
from tams.api.context import STORE
from tams.api.resources import media
from tams.config import Settings
from tams.repository.sql import SqlRepository
from tams.services.store import Store
from tams.serving.request_body import prepare_body
from tams.storage.local.storage import LocalStorage
from tams.storage.port import Backend

STORAGE_ID = "0f3ae8b1-6c52-4f0e-8a3d-9d1b7c5e2f40"
MAX_UPLOAD = 4 * 1024 * 1024
TRANSFERS = 4


def local_storage(root: Path, storage_id: str = STORAGE_ID, **options: Any) -> LocalStorage:
    """Return the backend that the server serves from that directory. A test and its server need the same options."""
    return LocalStorage(
        root,
        Backend(id=storage_id, label="local", provider="tests", store_product="files", default=True),
        b"a key that only the tests know  ",
        **{"url_lifetime": 60, "grace": 5, "max_upload": MAX_UPLOAD} | options,
    )


def make_app(root: Path) -> Flask:
    """Return an application with only the parts that media need."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1024
    limits = {"TAMS_TRANSFERS": str(TRANSFERS), "TAMS_TRANSFER_WAIT": "2"}
    settings = Settings.from_env(limits, environment="development", data_dir=root.parent)
    # No request of these tests reaches the database.
    app.extensions[STORE] = Store(SqlRepository(settings.database_url), {STORAGE_ID: local_storage(root)}, settings)
    app.before_request(lambda: setattr(g, "request_id", "test"))
    errors.install(app)
    transfers.install(app, settings)
    app.register_blueprint(media.blp)
    return app


class Server(BaseApplication):
    def __init__(self, make: Callable[[], Flask], descriptor: int) -> None:
        self._make = make
        self._descriptor = descriptor
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", f"fd://{self._descriptor}")
        self.cfg.set("worker_class", "tams.serving.web_worker.WebWorker")
        self.cfg.set("pre_request", prepare_body)
        self.cfg.set("threads", 4 + 2 * TRANSFERS)
        self.cfg.set("loglevel", "warning")
        self.cfg.set("control_socket_disable", True)

    def load(self) -> Any:
        return self._make()


if __name__ == "__main__":
    root, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    Server(lambda: make_app(root), descriptor).run()
