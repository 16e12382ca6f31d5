"""The differences of SQLite and PostgreSQL: connect, begin, lock, list parameters, upserts, and errors."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Collection, Sequence
from pathlib import Path
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
from typing_extensions import override

from tams.domain.errors import Contended, IntegrityBroken, Unavailable, Unusable
from tams.repository.port import Key, Pace

SECOND_MS = 1000
WAIT_SECONDS = 30
"""Longest wait of a transaction for a lock, before it fails."""

_CACHE_KIB = 2048
"""Page cache of each SQLite connection."""

_POLL_SECONDS = (0.0005, 0.0015)
"""The shortest and the longest pause before a writer of SQLite asks again for the lock that another process holds."""

_LOG_BYTES = 64 * 1024 * 1024
"""The size to which the write-ahead log of SQLite is cut back after it has grown."""

_OBJECT_STRIPES = 512
"""Objects are locked by stripe: a server holds a few thousand locks, and one deletion may claim a thousand Objects."""

NO_ANSWER = "The database does not answer."
NOT_SET_UP = "The database has not been set up for this version of the store: run `tams db upgrade`."
_NO_CHANGES = "The database accepts no changes."
_NO_SPACE = "The database has no space left on its disk."

RIGHTS_REMEDY = (
    "Let the role of TAMS_DATABASE_URL own the tables, or GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
    "public to it."
)

# Every query reads an index range up to the end of its page. The planner estimates the length of the range from
# statistics, and a wrong estimate makes it read and sort whole tables: these settings allow that only if there is no
# other plan.
_ONLY_INDEX_RANGES = " ".join(
    f"-c enable_{way}=off"
    for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort", "incremental_sort", "material")
)


class LostRace(Contended):
    """The engine aborted the transaction in favour of another one: the write is run again."""


class LostConnection(Unavailable):
    """The connection was lost: the write is run again on another one."""


class PerDialect(NamedTuple):
    """A statement that has to be written differently for each engine."""

    sqlite: Executable
    postgresql: Executable


Statement: TypeAlias = Executable | PerDialect


class Dialect(Protocol):
    """An engine, as far as it differs from the others.

    `positional` is the style of positional parameters that the driver supports. `one_writer`: the engine lets one
    transaction write at a time, so that claims need no locks. `pace`: see `Repository.pace`. `doubtful_commits`: a
    connection may be lost between a commit and its answer.
    """

    name: str
    begin_read: str
    begin_write: str
    positional: Literal["qmark", "format"]
    one_writer: bool
    pace: Pace
    doubtful_commits: bool

    def arguments(self, url: URL) -> dict[str, Any]:
        """Return the arguments for `create_engine`.

        Raises:
            ValueError: the URL does not name a database that can be used.
        """

    def check_exists(self, url: URL) -> None:
        """Check, before a connection is made, that it would not create the database.

        Raises:
            Unavailable: there is no database yet.
        """

    def prepare(self, connection: Any) -> None:
        """Set up a new connection of the driver."""

    def begin(self, connection: Any, begin: str) -> None:
        """Begin a transaction by `begin_read` or `begin_write`. With `one_writer`, this waits for the write lock."""

    def array(self, values: Collection[Any]) -> Any:
        """Return a list as the value of a parameter of `texts` or `integers`."""

    def locks(self, keys: Collection[Key]) -> list[int]:
        """Return the numbers of the locks that the claims need, in the order in which every transaction takes them."""

    def error(self, error: Exception) -> Exception:
        """Translate an error of the driver to a domain error, `LostRace` or `LostConnection`."""


class Sqlite(Dialect):
    """One file with one writer at a time, which readers do not wait for (write-ahead log)."""

    name = "sqlite"
    begin_read = "BEGIN"
    begin_write = "BEGIN IMMEDIATE"
    positional: Literal["qmark", "format"] = "qmark"
    one_writer = True
    # Every other writer waits for a whole transaction, and polls for its end.
    pace = Pace(40, 3.0)
    doubtful_commits = False

    @override
    def arguments(self, url: URL) -> dict[str, Any]:
        if url.database in (None, "", ":memory:"):
            raise ValueError("A SQLite database has to be a file: sqlite:///path/to/tams.db.")
        # Without an isolation level the driver begins no transaction by itself: `begin` decides when and how.
        return {
            "connect_args": {"isolation_level": None, "timeout": WAIT_SECONDS, "cached_statements": 256},
            "paramstyle": "named",
        }

    @override
    def check_exists(self, url: URL) -> None:
        # The driver would create an empty file, which everyone may read. A URI has its own mode for that (`?mode=ro`).
        if "uri" not in url.query and not Path(str(url.database)).exists():
            raise Unavailable(NOT_SET_UP)

    @override
    def prepare(self, connection: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        # With a write-ahead log, only FULL preserves the last commits through a loss of power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")

    @override
    def begin(self, connection: Any, begin: str) -> None:
        if begin != self.begin_write:
            connection.execute(begin)
            return
        # SQLite's own busy handler pauses longer and longer, up to 0.1 s, so that later writers take the lock first.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            until = time.monotonic() + WAIT_SECONDS
            while not _has_begun(connection, begin, until):
                time.sleep(random.uniform(*_POLL_SECONDS))  # noqa: S311
        finally:
            connection.execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * SECOND_MS}")

    @override
    def array(self, values: Collection[Any]) -> str:
        return orjson.dumps(values if isinstance(values, list) else list(values)).decode()

    @override
    def locks(self, keys: Collection[Key]) -> list[int]:
        return []

    @override
    def error(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.IntegrityError):
            return IntegrityBroken(f"The database refused the change: {error}")
        if isinstance(error, sqlite3.OperationalError):
            # The low byte is the family of the error; extended codes use the other bytes.
            code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return Contended("The database is busy with other writes.")
            if code == sqlite3.SQLITE_FULL:
                return Unavailable(_NO_SPACE, retry_after=60)
            if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
                return Unusable(
                    _NO_CHANGES if code == sqlite3.SQLITE_READONLY else "The database cannot be opened.",
                    f"SQLite says: {error}.",
                    "Make the file of the database, the files beside it (-wal, -shm) and their directory writable for "
                    "the user that runs the store, and mount its disk writable.",
                )
            if code != sqlite3.SQLITE_ERROR:
                return Unavailable("The database cannot be read or written.")
            if "no such table" in str(error) or "no such column" in str(error):
                return Unavailable(NOT_SET_UP)
            return error
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.ProgrammingError):
            return Unavailable("The database cannot be read or written.")
        return error


class Postgresql(Dialect):
    """Reads are repeatable and read-only. Writes are read-committed, so that reads after a claim are current."""

    name = "postgresql"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    begin_write = "BEGIN ISOLATION LEVEL READ COMMITTED"
    positional: Literal["qmark", "format"] = "format"
    one_writer = False
    # Many Objects share a lock, so other requests wait for a transaction that claims hundreds of them.
    pace = Pace(50, 3.0)
    doubtful_commits = True

    @override
    def arguments(self, url: URL) -> dict[str, Any]:
        connect: dict[str, Any] = {
            "autocommit": True,
            "options": f"-c lock_timeout={WAIT_SECONDS * SECOND_MS} -c timezone=UTC {_ONLY_INDEX_RANGES}",
        }
        if "connect_timeout" not in url.query:
            connect["connect_timeout"] = 5
        return {"connect_args": connect}

    @override
    def check_exists(self, url: URL) -> None:
        # The server refuses a database that does not exist.
        return

    @override
    def prepare(self, connection: Any) -> None:
        # The options of the connection say everything.
        return

    @override
    def begin(self, connection: Any, begin: str) -> None:
        connection.execute(begin)

    @override
    def array(self, values: Collection[Any]) -> list[Any]:
        return values if isinstance(values, list) else list(values)

    @override
    def locks(self, keys: Collection[Key]) -> list[int]:
        return sorted({_lock(kind, name) for kind, name in keys})

    @override
    def error(self, error: Exception) -> Exception:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return error
        state = error.sqlstate or ""
        if state.startswith("23"):
            return IntegrityBroken(f"The database refused the change: {error.diag.message_primary}")
        if state in ("40001", "40P01"):
            return LostRace("The transaction lost too many races against others. Try again.")
        if state == "55P03":
            return Contended("The database is busy with other writes.")
        if state.startswith(("08", "57P")) or (not state and isinstance(error, psycopg.OperationalError)):
            return LostConnection(NO_ANSWER)
        if state in ("42P01", "42703"):
            return Unavailable(NOT_SET_UP)
        if state == "25006":
            return Unusable(
                _NO_CHANGES,
                f"PostgreSQL says: {error.diag.message_primary}.",
                "Name the primary server in TAMS_DATABASE_URL, not a standby, and see that "
                "default_transaction_read_only is off for the role and the database.",
            )
        if state == "42501":
            return Unusable(
                "The database denies access.",
                f"PostgreSQL says: {error.diag.message_primary}.",
                RIGHTS_REMEDY,
            )
        if state == "53100":
            return Unavailable(_NO_SPACE, retry_after=60)
        if state.startswith(("53", "58", "57", "XX", "3D", "28")):
            return Unavailable("The database cannot be read or written.")
        return error


def dialect_of(url: URL) -> Dialect:
    """Return the dialect of the engine that a URL names.

    Raises:
        ValueError: the engine or its driver is not supported.
    """
    backend = url.get_backend_name()
    if backend == "sqlite":
        return Sqlite()
    if backend == "postgresql" and url.get_driver_name() == "psycopg":
        return Postgresql()
    raise ValueError("The database URL has to begin with sqlite:/// or postgresql+psycopg://.")


def _has_begun(connection: Any, begin: str, until: float) -> bool:
    """Begin a transaction. Return False if another process writes; after `until`, raise the error of the driver."""
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
    """A list parameter as a table. `type_name` is the type of its elements on PostgreSQL."""

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
    """Return the list of texts in the parameter `name` as a table: `value`, and its position in `key`."""
    return _Texts(_list(name)).table_valued("value", "key")


def integers(name: str) -> TableValuedAlias:
    """Return the list of integers in the parameter `name` as a table: `value`, and its position in `key`."""
    return _Integers(_list(name)).table_valued("value", "key")


def upsert(
    table: Table, *, update: Sequence[str] | None = None, where: ColumnElement[bool] | None = None
) -> PerDialect:
    """Return a statement that inserts a row, or updates the row with the same primary key.

    It updates the columns in `update`, or all columns outside the key, if `where` holds for the stored row.
    """
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
    """Return a statement that inserts a row unless its primary key exists."""
    key = [column.name for column in table.primary_key]
    return PerDialect(
        sqlite.insert(table).on_conflict_do_nothing(key),
        postgresql.insert(table).on_conflict_do_nothing(index_elements=key),
    )
