"""Where SQLite and PostgreSQL differ: opening, beginning, locking, lists as parameters, and what their errors mean."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import orjson
from sqlalchemy import ColumnElement, Executable, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import NullType

from tams.domain.errors import Contended, IntegrityBroken, Unavailable
from tams.repository.port import Key, Pace

SECOND_MS = 1000
WAIT_SECONDS = 30
"""How long a transaction waits for a lock before it gives up."""

_CACHE_KIB = 2048
"""Of each SQLite connection."""

_PAUSES = (0.0005, 0.0015)
"""Seconds, at least and at most, after which a writer of SQLite asks again for the lock that another process has."""

_LOG_BYTES = 64 * 1024 * 1024

_OBJECT_STRIPES = 512
"""Objects are locked by stripe: a server has room for some thousand locks, and a deletion may claim a thousand."""


NO_ANSWER = "The database does not answer."


# Every question is a walk along an index that stops at the end of the page. The planner guesses from statistics how far
# it has to walk, and where it is wrong, reads and sorts whole tables: it is told to do so only where nothing else is
# possible.
_ONLY_INDEX_RANGES = " ".join(
    f"-c enable_{way}=off"
    for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort", "incremental_sort", "material")
)


class LostRace(Contended):
    """The engine gave way to another transaction: a write is run again."""


class LostConnection(Unavailable):
    """The connection broke: a write is run again on another one."""


class PerDialect(NamedTuple):
    """One statement that cannot be written alike for both engines."""

    sqlite: Executable
    postgresql: Executable


Statement: TypeAlias = Executable | PerDialect


class Dialect(Protocol):
    """What the rest of the adapter asks of an engine."""

    name: str
    begin_read: str
    begin_write: str
    positional: Literal["qmark", "format"]
    """The style of parameters by position that the driver knows."""
    one_writer: bool
    """The engine lets one transaction write at a time, so that claims have nothing to do."""
    pace: Pace
    """How to go about large numbers so that others hardly notice."""
    doubtful_commits: bool
    """A connection may be lost between a commit and its answer."""

    def arguments(self, url: URL) -> dict[str, Any]:
        """What `create_engine` is told."""

    def prepare(self, connection: Any) -> None:
        """Set up a new connection of the driver."""

    def begin(self, connection: Any, begin: str) -> None:
        """Begin a transaction by `begin_read` or `begin_write`. Waits for the write lock where there is only one."""

    def array(self, values: Collection[Any]) -> Any:
        """A list as a parameter of `texts` or `integers`."""

    def locks(self, keys: Collection[Key]) -> list[int]:
        """The numbers of the locks that the claims need, in the order in which everybody takes them."""

    def error(self, error: Exception) -> Exception:
        """What an error of the driver means: a domain error, `LostRace` or `LostConnection`."""


class Sqlite:
    """One file, one writer at a time, readers beside it (write-ahead log)."""

    name = "sqlite"
    begin_read = "BEGIN"
    begin_write = "BEGIN IMMEDIATE"
    positional: Literal["qmark", "format"] = "qmark"
    one_writer = True
    # Everybody who writes waits for a whole transaction, and asks only now and then whether it has ended.
    pace = Pace(40, 3.0)
    doubtful_commits = False

    def arguments(self, url: URL) -> dict[str, Any]:
        if url.database in (None, "", ":memory:"):
            raise ValueError("a SQLite database has to be a file: sqlite:///path/to/tams.db")
        # No isolation level: the driver begins nothing by itself, so that a transaction starts where and how we say.
        return {
            "connect_args": {"isolation_level": None, "timeout": WAIT_SECONDS, "cached_statements": 256},
            "paramstyle": "named",
        }

    def prepare(self, connection: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        # In write-ahead logging only FULL keeps the last commits through a loss of power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        # What the log keeps of the disk after it has grown in a rush.
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")

    def begin(self, connection: Any, begin: str) -> None:
        if begin != self.begin_write:
            connection.execute(begin)
            return
        # SQLite itself would ask for the lock after ever longer pauses, up to a tenth of a second, and find it taken
        # by those who came later.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            until = time.monotonic() + WAIT_SECONDS
            while not _has_begun(connection, begin, until):
                time.sleep(random.uniform(*_PAUSES))  # noqa: S311
        finally:
            connection.execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * SECOND_MS}")

    def array(self, values: Collection[Any]) -> str:
        return orjson.dumps(values if isinstance(values, list) else list(values)).decode()

    def locks(self, keys: Collection[Key]) -> list[int]:
        return []

    def error(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.IntegrityError):
            return IntegrityBroken(f"the database refused it: {error}")
        if isinstance(error, sqlite3.OperationalError):
            # The low byte is the error's family; extended codes say more in the others.
            code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return Contended("The database is busy with other writes.")
            if code == sqlite3.SQLITE_FULL:
                return Unavailable("The database has no room left.", retry_after=60)
            if code != sqlite3.SQLITE_ERROR:
                return Unavailable("The database cannot be read or written.")
            if "no such table" in str(error) or "no such column" in str(error):
                return Unavailable("The database has not been set up for this version of the store.")
            return error
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError):
            return Unavailable("The database cannot be read or written.")
        return error


class Postgresql:
    """Reads are repeatable and read-only; writes are read-committed, so that what is read after a claim is current."""

    name = "postgresql"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    begin_write = "BEGIN ISOLATION LEVEL READ COMMITTED"
    positional: Literal["qmark", "format"] = "format"
    one_writer = False
    # Locks are shared by many Objects, so that others wait for a transaction that claims hundreds.
    pace = Pace(50, 3.0)
    doubtful_commits = True

    def arguments(self, url: URL) -> dict[str, Any]:
        connect: dict[str, Any] = {
            "autocommit": True,
            "options": f"-c lock_timeout={WAIT_SECONDS * SECOND_MS} -c timezone=UTC {_ONLY_INDEX_RANGES}",
        }
        if "connect_timeout" not in url.query:
            connect["connect_timeout"] = 5
        return {"connect_args": connect}

    def prepare(self, connection: Any) -> None:
        """Nothing: everything is said by the options of the connection."""

    def begin(self, connection: Any, begin: str) -> None:
        connection.execute(begin)

    def array(self, values: Collection[Any]) -> list[Any]:
        return values if isinstance(values, list) else list(values)

    def locks(self, keys: Collection[Key]) -> list[int]:
        return sorted({_lock(kind, name) for kind, name in keys})

    def error(self, error: Exception) -> Exception:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return error
        state = error.sqlstate or ""
        if state.startswith("23"):
            return IntegrityBroken(f"the database refused it: {error.diag.message_primary}")
        if state in ("40001", "40P01"):
            return LostRace("The transaction lost against others too many times.")
        if state == "55P03":
            return Contended("The database is busy with other writes.")
        if state.startswith(("08", "57P")) or (not state and isinstance(error, psycopg.OperationalError)):
            return LostConnection(NO_ANSWER)
        if state in ("42P01", "42703"):
            return Unavailable("The database has not been set up for this version of the store.")
        if state.startswith(("53", "58", "57", "25006", "XX", "3D", "28")):
            return Unavailable("The database cannot be read or written.")
        return error


def dialect_of(url: URL) -> Dialect:
    """The engine that a URL names. `ValueError` for one that is not supported."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return Sqlite()
    if backend == "postgresql" and url.get_driver_name() == "psycopg":
        return Postgresql()
    raise ValueError("the database URL has to begin with sqlite:/// or postgresql+psycopg://")


def _has_begun(connection: Any, begin: str, until: float) -> bool:
    """Begin unless another process writes; after `until` raise what the driver says."""
    try:
        connection.execute(begin)
    except sqlite3.OperationalError as error:
        if (error.sqlite_errorcode or 0) & 0xFF == sqlite3.SQLITE_BUSY and time.monotonic() < until:
            return False
        raise
    return True


def _lock(kind: str, name: str) -> int:
    digest = hashlib.blake2b(f"{kind}\0{name}".encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "big", signed=True)
    return number % _OBJECT_STRIPES if kind == "object" else number


class _Elements(FunctionElement[Any]):
    """A list parameter as a table."""

    inherit_cache = True
    type_name: str


class _Texts(_Elements):
    name = "texts"
    type_name = "TEXT"


class _Integers(_Elements):
    name = "integers"
    type_name = "BIGINT"


@compiles(_Elements, "sqlite")
def _sqlite_elements(element: _Elements, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Elements, "postgresql")
def _postgresql_elements(element: _Elements, compiler: SQLCompiler, **kw: Any) -> str:
    array = f"CAST({compiler.process(element.clauses, **kw)} AS {element.type_name}[])"
    return f"(SELECT value, key - 1 AS key FROM unnest({array}) WITH ORDINALITY AS elements (value, key))"  # noqa: S608 - made of constants


def _list(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=NullType())


def texts(name: str) -> TableValuedAlias:
    """The list of texts in the parameter `name` as a table (`value`, and its position in `key`)."""
    return _Texts(_list(name)).table_valued("value", "key")


def integers(name: str) -> TableValuedAlias:
    """The list of integers in the parameter `name` as a table (`value`, and its position in `key`)."""
    return _Integers(_list(name)).table_valued("value", "key")


def upsert(
    table: Table, *, update: Sequence[str] | None = None, where: ColumnElement[bool] | None = None
) -> PerDialect:
    """Insert a row, or change the one of the same primary key: all other columns, or those in `update`."""
    key = [column.name for column in table.primary_key]
    changed = [c.name for c in table.columns if c.name not in key] if update is None else update
    lite, post = sqlite.insert(table), postgresql.insert(table)
    return PerDialect(
        lite.on_conflict_do_update(key, set_={name: lite.excluded[name] for name in changed}, where=where),
        post.on_conflict_do_update(
            index_elements=key, set_={name: post.excluded[name] for name in changed}, where=where
        ),
    )


def insert_new(table: Table) -> PerDialect:
    """Insert a row unless its primary key is taken."""
    key = [column.name for column in table.primary_key]
    return PerDialect(
        sqlite.insert(table).on_conflict_do_nothing(key),
        postgresql.insert(table).on_conflict_do_nothing(index_elements=key),
    )
