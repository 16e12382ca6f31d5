"""Connections, and statements that are compiled once.

Statements are SQLAlchemy Core. They run on the driver's own cursor, because a connection of SQLAlchemy costs six times
as much as the reading of one Flow; the pool, the dialects and the schema are SQLAlchemy's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar, cast

from sqlalchemy import ClauseElement, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.engine import Dialect as SqlDialect
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.compiler import SQLCompiler

from tams.domain.errors import IntegrityBroken, Unavailable
from tams.repository.sql.dialects import NO_ANSWER, Dialect, LostConnection, PerDialect, Statement, dialect_of

logger = logging.getLogger(__name__)

V = TypeVar("V")

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, Any]

_POOL_SIZE = 8
_POOL_OVERFLOW = 56
_MOST_STATEMENTS = 2000


class Session:
    """An open transaction on one connection of the driver."""

    __slots__ = ("_connection", "_database", "_failure", "array", "changed")

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._database = database
        self._failure: Exception | None = None
        self.array = database.dialect.array
        self.changed = False
        """Whether anything was written."""

    @property
    def dialect(self) -> Dialect:
        """The engine's peculiarities."""
        return self._database.dialect

    def rows(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """All rows of the answer."""
        cursor = self._execute(statement, parameters)
        try:
            return cast("list[Row]", cursor.fetchall())
        except self._database.errors as error:
            raise self._failed(error) from error

    def row(self, statement: Statement, parameters: Parameters) -> Row | None:
        """The first row of the answer."""
        cursor = self._execute(statement, parameters)
        try:
            return cast("Row | None", cursor.fetchone())
        except self._database.errors as error:
            raise self._failed(error) from error

    def run(self, statement: Statement, parameters: Parameters) -> int:
        """Change something; how many rows it was."""
        self.changed = True
        return cast("int", self._execute(statement, parameters).rowcount)

    def run_many(self, statement: Statement, names: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Run one statement for each row of parameters, whose names are `names`.

        Rows rather than mappings: binding a thousand of them takes half the time.
        """
        self.changed = True
        if not rows:
            return
        text, arranged = self._database.compiled_for_rows(statement, names)
        try:
            self._connection.cursor().executemany(text, rows if arranged is None else list(map(arranged, rows)))
        except self._database.errors as error:
            raise self._failed(error) from error

    def commit(self) -> None:
        """Store everything. After a refused statement nothing is, even where the caller went on."""
        if self._failure is not None:
            raise self._failure
        try:
            self._connection.commit()
        except self._database.errors as error:
            raise self._failed(error) from error

    def _execute(self, statement: Statement, parameters: Parameters) -> Any:
        text, constants = self._database.compiled(statement)
        try:
            return self._connection.execute(text, {**constants, **parameters} if constants else parameters)
        except self._database.errors as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Exception:
        # After the first one PostgreSQL refuses everything, and only the first says why.
        if self._failure is None:
            self._failure = self._database.dialect.error(error)
        return self._failure


class _Question(Session):
    """A connection for one statement, outside any transaction. A second one might see a later moment: it is refused."""

    __slots__ = ("_asked",)

    def __init__(self, connection: Any, database: Database) -> None:
        super().__init__(connection, database)
        self._asked = False

    def _execute(self, statement: Statement, parameters: Parameters) -> Any:
        if self._asked:
            raise IntegrityBroken("a question is one statement: what takes more needs a snapshot")
        self._asked = True
        return super()._execute(statement, parameters)


class Transaction(Generic[V]):
    """A transaction while it is entered, rolled back at the end unless it was committed; whoever enters it is given
    what `view` makes of its session. `LostConnection`, `Unavailable`.

    A class, because a generator takes longer than the `BEGIN`, and every request passes here.
    """

    __slots__ = ("_begin", "_connection", "_database", "_view")

    def __init__(self, database: Database, begin: str, view: Callable[[Session], V]) -> None:
        self._database = database
        self._begin = begin
        self._view = view

    def __enter__(self) -> V:
        self._connection = self._database.begun(self._begin)
        return self._view(Session(self._connection.driver_connection, self._database))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LostConnection):
            self._database.abandon(self._connection)
        else:
            self._database.end(self._connection)


class _Own(threading.local):
    """The connection that a thread keeps while it has no transaction."""

    connection: Any = None


class Database:
    """The pool of one process, and the texts of its statements."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.dialect = dialect_of(parsed)
        self.engine: Engine = create_engine(
            parsed,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_timeout=10,
            pool_use_lifo=True,
            **self.dialect.arguments(parsed),
        )
        self._pool = cast("QueuePool", self.engine.pool)
        self._own = _Own()
        self.errors: tuple[type[Exception], ...] = (self.engine.dialect.loaded_dbapi.Error,)
        self._connection_errors: tuple[type[Exception], ...] = (SQLAlchemyError, *self.errors)
        event.listen(self.engine, "connect", lambda connection, _record: self.dialect.prepare(connection))
        self._texts: dict[Statement, tuple[str, Parameters]] = {}
        # Only statements that stand in modules are run for rows, so that this does not grow.
        self._row_texts: dict[tuple[Statement, tuple[str, ...]], tuple[str, Callable[[Row], Row] | None]] = {}
        self._positional = cast("type[DefaultDialect]", type(self.engine.dialect))(paramstyle=self.dialect.positional)

    def session(self, begin: str) -> Transaction[Session]:
        """A transaction that is rolled back at the end unless it was committed. `LostConnection`, `Unavailable`."""
        return Transaction(self, begin, lambda session: session)

    def ask(self, question: Callable[[Session], V]) -> V:
        """What `question` finds by one statement. It is asked again where the connection had died in the pool."""
        try:
            return self._ask(question)
        except LostConnection:
            return self._ask(question)

    def _ask(self, question: Callable[[Session], V]) -> V:
        connection = self._checkout()
        try:
            answer = question(_Question(connection.driver_connection, self))
        except LostConnection:
            self.abandon(connection)
            raise
        except BaseException:
            self.end(connection)
            raise
        self._keep(connection)
        return answer

    def compiled(self, statement: Statement) -> tuple[str, Parameters]:
        """The text of a statement, and the values of parameters that stand in the statement itself."""
        found = self._texts.get(statement)
        if found is None:
            compiled = self._compile(statement, self.engine.dialect)
            constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            found = (str(compiled), constants)
            if len(self._texts) >= _MOST_STATEMENTS:
                self._texts.clear()
            self._texts[statement] = found
        return found

    def compiled_for_rows(
        self, statement: Statement, names: tuple[str, ...]
    ) -> tuple[str, Callable[[Row], Row] | None]:
        """The text of a statement with parameters by position, and how to arrange a row for it where it has to be."""
        found = self._row_texts.get((statement, names))
        if found is None:
            compiled = self._compile(statement, self._positional)
            order = [names.index(name) for name in compiled.positiontup or ()]
            arranged = None if order == list(range(len(names))) else itemgetter(*order)
            found = self._row_texts[statement, names] = (str(compiled), arranged)
        return found

    def _compile(self, statement: Statement, dialect: SqlDialect) -> SQLCompiler:
        chosen = getattr(statement, self.dialect.name) if isinstance(statement, PerDialect) else statement
        return cast("SQLCompiler", cast("ClauseElement", chosen).compile(dialect=dialect))

    def begun(self, begin: str) -> Any:
        """A connection with a transaction begun. One that died in the pool is replaced."""
        try:
            return self._begin(begin)
        except LostConnection:
            return self._begin(begin)

    def _begin(self, begin: str) -> Any:
        connection = self._checkout()
        try:
            self.dialect.begin(connection.driver_connection, begin)
        except self.errors as error:
            failure = self.dialect.error(error)
            if isinstance(failure, LostConnection):
                self.abandon(connection)
            else:
                connection.close()
            raise failure from error
        return connection

    def end(self, connection: Any) -> None:
        """End what is not committed."""
        try:
            connection.driver_connection.rollback()
        except self.errors as error:
            logger.info("a connection is given up: %s", error)
            connection.invalidate()
        else:
            self._keep(connection)

    def abandon(self, connection: Any) -> None:
        """Take note that this connection was lost."""
        connection.invalidate()
        # The others are most likely dead, too.
        self.close()

    def _keep(self, connection: Any) -> None:
        """Have this thread use the connection again: to get one out of the pool takes as long as to read a Flow."""
        if self._own.connection is None and self._pool.checkedout() <= _POOL_SIZE:
            self._own.connection = connection
        else:
            connection.close()

    def _checkout(self) -> Any:
        kept = self._own.connection
        if kept is not None:
            self._own.connection = None
            return kept
        try:
            return self.engine.raw_connection()
        except PoolTimeout as error:
            raise Unavailable("All connections to the database are in use.") from error
        except self._connection_errors as error:
            logger.warning("no connection to the database: %s", error)
            raise Unavailable(NO_ANSWER) from error

    def close(self) -> None:
        """Close the connections that are not in use."""
        # What threads keep goes back to the pool.
        self._own = _Own()
        self.engine.dispose()
