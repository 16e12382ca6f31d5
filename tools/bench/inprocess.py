"""The store in this process, without a server: for a profiler, and to see which SQL a request runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from tams import logs
from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.repository.sql import migrate
from tools.bench.http import Answer


class _Nowhere(io.StringIO):
    """Takes everything and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


class InProcess:
    """The application on the data in `directory` and the database, which are set up where they are new."""

    def __init__(self, directory: Path, database_url: str | None = None) -> None:
        variables = {"ENVIRONMENT": "production", "TAMS_AUTH": "none"}
        if database_url is not None:
            variables["TAMS_DATABASE_URL"] = database_url
        settings = Settings.from_env(variables, data_dir=directory)
        settings.prepare_data_dir()
        # Log lines are made as a server makes them, and go nowhere.
        logs.configure(settings, _Nowhere())
        migrate.upgrade(settings.database_url)
        self._app = create_app(settings)

    def close(self) -> None:
        """Close the connections to the database."""
        self._app.extensions[STORE].repository.close()

    def exchange(self, method: str, path: str, content: bytes = b"") -> Answer:
        """What the application answers."""
        status = 0

        def start_response(line: str, _headers: list[tuple[str, str]], _error: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])

        answer = self._app.wsgi_app(_environ(method, path, content), start_response)
        try:
            body = b"".join(answer)
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        return Answer(status, b"", body)


def _environ(method: str, path: str, content: bytes) -> dict[str, Any]:
    """As gunicorn makes it."""
    address, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": address,
        "RAW_URI": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(content),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if content:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content))}
    return environ
