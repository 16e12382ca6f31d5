"""The store in this process, without a server: for the profiler, and to record the SQL of requests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from tams import logs
from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.repository.sql import migrate
from tools.bench.http import Response


class _Discard(io.StringIO):
    """Discards all output."""

    def write(self, text: str) -> int:
        return len(text)


class InProcess:
    """The application on the data in `directory` and a database, which are set up if they are new."""

    def __init__(self, directory: Path, database_url: str | None = None) -> None:
        variables = {"ENVIRONMENT": "production", "TAMS_AUTH": "none"}
        if database_url is not None:
            variables["TAMS_DATABASE_URL"] = database_url
        settings = Settings.from_env(variables, data_dir=directory)
        settings.prepare_data_dir()
        # Log lines are formatted as by a server, and discarded.
        logs.configure(settings, _Discard())
        migrate.upgrade(settings.database_url)
        self._app = create_app(settings)

    def close(self) -> None:
        """Close the connections to the database."""
        self._app.extensions[STORE].repository.close()

    def exchange(self, method: str, path: str, content: bytes = b"") -> Response:
        """Send a request to the application and return its response."""
        status = 0

        def start_response(line: str, _headers: list[tuple[str, str]], _error: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])

        chunks = self._app.wsgi_app(_environ(method, path, content), start_response)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return Response(status, b"", body)


def _environ(method: str, path: str, content: bytes) -> dict[str, Any]:
    """Return the WSGI environment that gunicorn would create."""
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
