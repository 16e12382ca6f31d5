"""The limits of the machine: bare Flask routes, served by gunicorn like the store.

They return what the plan lists: fixed bytes, or the rows of SQL statements, serialized by orjson.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import orjson
import psycopg
from flask import Flask, Response

_JSON = "application/json"


def _connect(plan: dict[str, Any]) -> Any:
    """Open a driver connection to the database of the plan, without a transaction."""
    url: str = plan["database"]
    if not url.startswith("sqlite"):
        return psycopg.connect(url, autocommit=True)
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for statement in plan["setup"]:
        connection.execute(statement)
    return connection


def make_app(plan_file: str) -> Flask:
    """Create the application from a plan that `tools.bench.site` wrote."""
    plan: dict[str, Any] = orjson.loads(Path(plan_file).read_bytes())
    app = Flask(__name__)
    local = threading.local()

    def connection() -> Any:
        if not hasattr(local, "connection"):
            local.connection = _connect(plan)
        return local.connection

    for name, text in plan["bytes"].items():

        def fixed(content: bytes = text.encode()) -> Response:
            return Response(content, content_type=_JSON)

        app.add_url_rule(f"/{name}", f"bytes {name}", fixed)

    for name, statements in plan["pages"].items():

        def rows(statements: list[tuple[str, Any]] = statements) -> Response:
            session = connection()
            session.execute("BEGIN")
            result = [session.execute(text, values).fetchall() for text, values in statements]
            session.rollback()
            return Response(orjson.dumps(result), content_type=_JSON)

        app.add_url_rule(f"/{name}", f"page {name}", rows)

    return app
