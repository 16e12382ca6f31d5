"""Which SQL the store runs for a request, so that a floor can run the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from sqlalchemy import Engine, event


@dataclass
class Recorded:
    """The statements in the order in which they ran, each with its parameters."""

    setup: list[str] = field(default_factory=list)
    """What a connection is told once."""
    reads: list[tuple[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, list[Any]]] = field(default_factory=list)
    """Changes, with a row of parameters for each time that they run."""

    def clear(self) -> None:
        """Forget what the requests so far have run."""
        self.reads.clear()
        self.writes.clear()

    def add(self, statement: str, parameters: Any) -> None:
        """Take note of one statement."""
        verb = statement.split(None, 1)[0]
        if verb == "PRAGMA":
            if statement not in self.setup:
                self.setup.append(statement)
        elif verb in {"SELECT", "WITH"}:
            self.reads.append((statement, parameters))
        elif verb in {"INSERT", "UPDATE", "DELETE"}:
            self.writes.append((statement, [parameters]))


@contextmanager
def recording() -> Iterator[Recorded]:
    """Take note of what connections that are opened from now on run, on either engine."""
    recorded = Recorded()

    class RecordingCursor(sqlite3.Cursor):
        def executemany(self, statement: str, rows: Any) -> Self:
            kept = list(rows)
            recorded.writes.append((statement, kept))
            super().executemany(statement, kept)
            return self

    class RecordingConnection(sqlite3.Connection):
        def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
            recorded.add(statement, parameters)
            return super().execute(statement, parameters)

        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or RecordingCursor)

    class PostgresqlCursor(psycopg.Cursor[Any]):
        def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
            kept = list(params_seq)
            recorded.writes.append((query, kept))
            super().executemany(query, kept, returning=returning)

    class PostgresqlConnection(psycopg.Connection[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Any]:
            recorded.add(query, params)
            return super().execute(query, params, **options)

    def connect(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        if dialect.name == "postgresql":
            return PostgresqlConnection.connect(*arguments, cursor_factory=PostgresqlCursor, **options)
        options["factory"] = RecordingConnection
        return None

    event.listen(Engine, "do_connect", connect)
    try:
        yield recorded
    finally:
        event.remove(Engine, "do_connect", connect)
