"""A recorder of the SQL that the store runs for a request, so that a floor can run the same statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from sqlalchemy import Engine, event


@dataclass
class Recorder:
    """The statements in the order of their execution, each with its parameters."""

    setup: list[str] = field(default_factory=list)
    """Statements that run once per connection."""
    reads: list[tuple[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, list[Any]]] = field(default_factory=list)
    """Changes, with a row of parameters for each execution."""

    def clear(self) -> None:
        """Forget the statements that were recorded so far, except `setup`."""
        self.reads.clear()
        self.writes.clear()

    def add(self, statement: str, parameters: Any) -> None:
        """Record a statement."""
        verb = statement.split(None, 1)[0]
        if verb == "PRAGMA":
            if statement not in self.setup:
                self.setup.append(statement)
        elif verb in {"SELECT", "WITH"}:
            self.reads.append((statement, parameters))
        elif verb in {"INSERT", "UPDATE", "DELETE"}:
            self.writes.append((statement, [parameters]))


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record the statements of all connections that are opened during the block, on either engine."""
    recorder = Recorder()

    class RecordingCursor(sqlite3.Cursor):
        def executemany(self, statement: str, rows: Any) -> Self:
            parameters = list(rows)
            recorder.writes.append((statement, parameters))
            super().executemany(statement, parameters)
            return self

    class RecordingConnection(sqlite3.Connection):
        def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
            recorder.add(statement, parameters)
            return super().execute(statement, parameters)

        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or RecordingCursor)

    class PostgresqlCursor(psycopg.Cursor[Any]):
        def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
            parameters = list(params_seq)
            recorder.writes.append((query, parameters))
            super().executemany(query, parameters, returning=returning)

    class PostgresqlConnection(psycopg.Connection[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Any]:
            recorder.add(query, params)
            return super().execute(query, params, **options)

    def connect(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        if dialect.name == "postgresql":
            return PostgresqlConnection.connect(*arguments, cursor_factory=PostgresqlCursor, **options)
        options["factory"] = RecordingConnection
        return None

    event.listen(Engine, "do_connect", connect)
    try:
        yield recorder
    finally:
        event.remove(Engine, "do_connect", connect)
