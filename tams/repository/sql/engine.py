"""Connections, sessions, and statements that are compiled once.

Statements are SQLAlchemy Core. They run on the driver's own cursor, because a connection of SQLAlchemy costs six times
as much as reading one Flow. The pool, the dialects and the schema are SQLAlchemy's.
`tools/bench/measurements/reading.py` measures this as `flow`.
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

from tams.domain.errors import Contended, IntegrityBroken, Unavailable, Unusable
from tams.repository.sql.dialects import NO_ANSWER, Dialect, LostConnection, PerDialect, Statement, dialect_of

logger = logging.getLogger(__name__)

V = TypeVar("V")

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, Any]

_POOL_SIZE = 8
_POOL_OVERFLOW = 56
_STATEMENT_CACHE_SIZE = 2000


class Session:
    """An open transaction on one connection of the driver. `changed` is True once it has written."""

    __slots__ = ("_connection", "_database", "_failure", "array", "changed")

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._database = database
        self._failure: Exception | None = None
        self.array = database.dialect.array
        self.changed = False

    @property
    def dialect(self) -> Dialect:
        """Return what differs between the engines."""
        return self._database.dialect

    def rows(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """Run a query and return all rows."""
        cursor = self._execute(statement, parameters)
        try:
            return cast("list[Row]", cursor.fetchall())
        except self._database.errors as error:
            raise self._failed(error) from error

    def row(self, statement: Statement, parameters: Parameters) -> Row | None:
        """Run a query and return the first row, or None."""
        cursor = self._execute(statement, parameters)
        try:
            return cast("Row | None", cursor.fetchone())
        except self._database.errors as error:
            raise self._failed(error) from error

    def run(self, statement: Statement, parameters: Parameters) -> int:
        """Run a statement that changes rows, and return their number."""
        self.changed = True
        return cast("int", self._execute(statement, parameters).rowcount)

    def returning(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """Run a statement that changes rows and has a RETURNING clause, and return these rows."""
        self.changed = True
        return self.rows(statement, parameters)

    def run_many(self, statement: Statement, names: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Run a statement once for each row of parameters, which have the `names`.

        Rows instead of mappings halve the time to bind a thousand of them.
        """
        self.changed = True
        if not rows:
            return
        text, arrange = self._database.compiled_for_rows(statement, names)
        try:
            self._connection.cursor().executemany(text, rows if arrange is None else list(map(arrange, rows)))
        except self._database.errors as error:
            raise self._failed(error) from error

    def commit(self) -> None:
        """Commit. If a statement failed before, raise its error instead, even if the caller has suppressed it."""
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
        # After an error PostgreSQL refuses every statement, so only the first error states the cause.
        if self._failure is None:
            self._failure = self._database.translated(error)
        return self._failure


class _SingleStatement(Session):
    """A connection for one statement, outside any transaction.

    It refuses a second statement, which might see a later moment.
    """

    __slots__ = ("_asked",)

    def __init__(self, connection: Any, database: Database) -> None:
        super().__init__(connection, database)
        self._asked = False

    def _execute(self, statement: Statement, parameters: Parameters) -> Any:
        if self._asked:
            raise IntegrityBroken("A question may run one statement; use a snapshot for more.")
        self._asked = True
        return super()._execute(statement, parameters)


class Transaction(Generic[V]):
    """A context manager that begins a transaction, and rolls it back at the end unless it was committed.

    It returns what `view` makes of the session. Every request uses it: it is a class, because a generator takes longer
    than the `BEGIN`.

    Raises:
        LostConnection: the connection was lost.
        Unavailable: the database does not answer, or all connections are in use.
    """

    __slots__ = ("_begin", "_connection", "_database", "_view")

    def __init__(self, database: Database, begin: str, view: Callable[[Session], V]) -> None:
        self._database = database
        self._begin = begin
        self._view = view

    def __enter__(self) -> V:
        self._connection = self._database.begin(self._begin)
        return self._view(Session(self._connection.driver_connection, self._database))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LostConnection):
            self._database.abandon(self._connection)
        else:
            self._database.end(self._connection)


class _ThreadConnection(threading.local):
    """The connection that a thread keeps between its transactions."""

    connection: Any = None


class Database:
    """The connection pool of a process, and its cache of compiled statements."""

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
        self._thread = _ThreadConnection()
        self._is_unreachable = False
        self.errors: tuple[type[Exception], ...] = (self.engine.dialect.loaded_dbapi.Error,)
        self._connection_errors: tuple[type[Exception], ...] = (SQLAlchemyError, *self.errors)
        event.listen(self.engine, "do_connect", lambda *_: self.dialect.check_exists(parsed))
        event.listen(self.engine, "connect", lambda connection, _record: self.dialect.prepare(connection))
        self._texts: dict[Statement, tuple[str, Parameters]] = {}
        # Only statements that are module constants are run for rows, so this cache is bounded.
        self._row_texts: dict[tuple[Statement, tuple[str, ...]], tuple[str, Callable[[Row], Row] | None]] = {}
        self._positional = cast("type[DefaultDialect]", type(self.engine.dialect))(paramstyle=self.dialect.positional)

    def translated(self, error: Exception) -> Exception:
        """Return the domain error for an error of the driver, and log what only an operator can mend."""
        failure = self.dialect.error(error)
        if isinstance(failure, Unusable):
            logger.error("%s", failure.advice)
        elif isinstance(failure, Unavailable) and not isinstance(failure, Contended | LostConnection):
            logger.error("%s The database says: %s", failure, error)
        return failure

    def session(self, begin: str) -> Transaction[Session]:
        """Return a transaction that `begin` begins (see `Transaction`)."""
        return Transaction(self, begin, lambda session: session)

    def ask(self, question: Callable[[Session], V]) -> V:
        """Return what `question` reads by one statement. Retry it if the connection had died in the pool."""
        try:
            return self._ask(question)
        except LostConnection:
            return self._ask(question)

    def _ask(self, question: Callable[[Session], V]) -> V:
        connection = self._checkout()
        try:
            answer = question(_SingleStatement(connection.driver_connection, self))
        except LostConnection:
            self.abandon(connection)
            raise
        except BaseException:
            self.end(connection)
            raise
        self._keep(connection)
        return answer

    def compiled(self, statement: Statement) -> tuple[str, Parameters]:
        """Return the text of a statement, and the values of the parameters that the statement itself contains."""
        compilation = self._texts.get(statement)
        if compilation is None:
            compiled = self._compile(statement, self.engine.dialect)
            constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            compilation = (str(compiled), constants)
            if len(self._texts) >= _STATEMENT_CACHE_SIZE:
                self._texts.clear()
            self._texts[statement] = compilation
        return compilation

    def compiled_for_rows(
        self, statement: Statement, names: tuple[str, ...]
    ) -> tuple[str, Callable[[Row], Row] | None]:
        """Return the text of a statement with positional parameters, and a function that puts a row into their order.

        The function is None if the row is in this order.
        """
        compilation = self._row_texts.get((statement, names))
        if compilation is None:
            compiled = self._compile(statement, self._positional)
            order = [names.index(name) for name in compiled.positiontup or ()]
            arrange = None if order == list(range(len(names))) else itemgetter(*order)
            compilation = self._row_texts[statement, names] = (str(compiled), arrange)
        return compilation

    def _compile(self, statement: Statement, dialect: SqlDialect) -> SQLCompiler:
        core = getattr(statement, self.dialect.name) if isinstance(statement, PerDialect) else statement
        return cast("SQLCompiler", cast("ClauseElement", core).compile(dialect=dialect))

    def begin(self, begin: str) -> Any:
        """Return a connection on which a transaction has begun. A connection that died in the pool is replaced."""
        try:
            return self._begin(begin)
        except LostConnection:
            return self._begin(begin)

    def _begin(self, begin: str) -> Any:
        connection = self._checkout()
        try:
            self.dialect.begin(connection.driver_connection, begin)
        except self.errors as error:
            failure = self.translated(error)
            if isinstance(failure, LostConnection):
                self.abandon(connection)
            else:
                connection.close()
            raise failure from error
        return connection

    def end(self, connection: Any) -> None:
        """Roll back what is not committed, and give the connection back."""
        try:
            connection.driver_connection.rollback()
        except self.errors as error:
            logger.info("dropping a connection that cannot roll back: %s", error)
            connection.invalidate()
        else:
            self._keep(connection)

    def abandon(self, connection: Any) -> None:
        """Drop a lost connection, and those in the pool."""
        connection.invalidate()
        # The others are most likely dead, too.
        self.close()

    def _keep(self, connection: Any) -> None:
        """Keep the connection for this thread: getting one from the pool takes as long as reading a Flow."""
        if self._thread.connection is None and self._pool.checkedout() <= _POOL_SIZE:
            self._thread.connection = connection
        else:
            connection.close()

    def _checkout(self) -> Any:
        connection = self._thread.connection
        if connection is not None:
            self._thread.connection = None
            return connection
        try:
            connection = self.engine.raw_connection()
        except PoolTimeout as error:
            raise Unavailable("All connections to the database are in use. Try again.") from error
        except self._connection_errors as error:
            # Every thread retries for as long as the database is down: one line says so, and one that it is back.
            if not self._is_unreachable:
                logger.warning("cannot connect to the database: %s", error)
                self._is_unreachable = True
            raise Unavailable(NO_ANSWER) from error
        if self._is_unreachable:
            self._is_unreachable = False
            logger.info("connected to the database again")
        return connection

    def close(self) -> None:
        """Close the connections that are not in use."""
        # Dropping the references gives the connections of threads back to the pool.
        self._thread = _ThreadConnection()
        self.engine.dispose()
