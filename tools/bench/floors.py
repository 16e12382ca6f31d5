"""What the same machine could do at best: bare Flask routes, run by gunicorn as the store is.

They give what the plan says: fixed bytes, or the rows of SQL statements, written by orjson as they come.
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


def _connected(plan: dict[str, Any]) -> Any:
    """A connection of the driver to the database of the plan, in no transaction."""
    url: str = plan["database"]
    if not url.startswith("sqlite"):
        return psycopg.connect(url, autocommit=True)
    opened = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    for statement in plan["setup"]:
        opened.execute(statement)
    return opened


def make_app(plan_file: str) -> Flask:
    """The application; the plan is what `tools.bench.site` writes."""
    plan: dict[str, Any] = orjson.loads(Path(plan_file).read_bytes())
    app = Flask(__name__)
    kept = threading.local()

    def connection() -> Any:
        if not hasattr(kept, "connection"):
            kept.connection = _connected(plan)
        return kept.connection

    for name, text in plan["bytes"].items():

        def fixed(content: bytes = text.encode()) -> Response:
            return Response(content, content_type=_JSON)

        app.add_url_rule(f"/{name}", f"bytes {name}", fixed)

    for name, statements in plan["pages"].items():

        def rows(statements: list[tuple[str, Any]] = statements) -> Response:
            session = connection()
            session.execute("BEGIN")
            found = [session.execute(text, values).fetchall() for text, values in statements]
            session.rollback()
            return Response(orjson.dumps(found), content_type=_JSON)

        app.add_url_rule(f"/{name}", f"page {name}", rows)

    return app
