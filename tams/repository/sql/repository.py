"""The door: snapshots, transactions that are repeated where that is safe, leases."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy import Executable, bindparam, column, delete, select, table
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from tams.domain.clock import MICROSECONDS, now
from tams.domain.errors import Contended, IntegrityBroken, Unavailable
from tams.domain.identifiers import new_id
from tams.repository.port import Job, Pace, Read, Write
from tams.repository.sql import compatibility, jobs
from tams.repository.sql.dialects import WAIT_SECONDS, LostConnection, LostRace, insert_new
from tams.repository.sql.engine import Database, Session, Transaction
from tams.repository.sql.tables import REVISION, operations
from tams.repository.sql.transaction import SqlRead, SqlWrite

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ATTEMPTS = 10
_DOUBT_SECONDS = 20
"""How long a commit of unknown outcome is asked after before giving up."""
_OPERATIONS_KEPT = 24 * 3600 * MICROSECONDS
_PRUNE_EVERY = 500

_RECORD = insert_new(operations)
_PRUNE = delete(operations).where(operations.c.at < bindparam("before"))
_REVISION: Executable = select(column("version_num")).select_from(table("alembic_version"))


class _Doubtful(Exception):
    """The connection was lost after the commit was sent and before it was answered."""


class _Operation(Generic[T]):
    """One write over all its attempts."""

    __slots__ = ("body", "doubtful", "op", "result")

    def __init__(self, op: str, body: Callable[[Session], T]) -> None:
        self.op = op
        self.body = body
        self.doubtful = False
        self.result: T


def _stop(state: RetryCallState) -> bool:
    operation: _Operation[Any] = state.args[0]
    if operation.doubtful:
        return (state.seconds_since_start or 0) > _DOUBT_SECONDS
    return state.attempt_number >= _ATTEMPTS


class SqlRepository:
    """The repository of one process, on SQLite (`sqlite:///file`) or PostgreSQL (`postgresql+psycopg://…`).

    `ValueError` for another kind of URL. Nothing is connected until it is needed.
    """

    patience = 1.0

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)
        self._dialect = self._database.dialect
        # Where one transaction writes at a time, the threads of this process queue here rather than poll the engine.
        self._turn = threading.Lock()
        self._writes = itertools.count(1)
        self._retrying = Retrying(
            retry=retry_if_exception_type((LostRace, LostConnection, _Doubtful)),
            wait=wait_random_exponential(multiplier=0.01, max=1),
            stop=_stop,
            reraise=True,
        )

    @property
    def pace(self) -> Pace:
        """How to go about large numbers so that others hardly notice."""
        return self._dialect.pace

    def read(self) -> AbstractContextManager[Read]:
        """A snapshot for one request."""
        return Transaction(self._database, self._dialect.begin_read, SqlRead)

    def ask(self, question: Callable[[Read], T]) -> T:
        """The answer to one question: one statement, which sees one moment without a transaction around it."""
        return self._database.ask(lambda session: question(SqlRead(session)))

    def write(self, op: str, body: Callable[[Write], T]) -> T:
        """Run `body` in a transaction and commit it."""
        return self._write(op, lambda session: body(SqlWrite(session)))

    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        """Jobs of the kind that are due, each lent to one worker for a while."""
        if not self._database.ask(lambda session: jobs.any_due(session, kind)):
            return []
        return self._write(new_id(), lambda session: jobs.lend(session, kind, worker, limit, seconds))

    def prolong(self, job: Job, seconds: int) -> bool:
        """Hold a leased job for longer; False where the lease was lost."""
        return self._write(new_id(), lambda session: jobs.prolong(session, job, seconds))

    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None = None) -> None:
        """Give a leased job back, to be done later (microseconds)."""
        self._write(new_id(), lambda session: jobs.postpone(session, job, due, payload))

    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and its schema is the one this code needs, or a newer one
        that serves it."""
        with self._reading() as session:
            row = session.row(_REVISION, {})
            is_newer = row is not None and row[0] > REVISION
            serves = session.row(compatibility.READ, {"schema": row[0]}) if row is not None and is_newer else None
        if row is not None and row[0] == REVISION:
            return
        if serves is None or serves[0] > REVISION:
            found = "none" if row is None else row[0]
            raise Unavailable(f"The database has schema {found}, this version of the store needs {REVISION}.")

    def close(self) -> None:
        """Release connections."""
        self._database.close()

    def _reading(self) -> AbstractContextManager[Session]:
        return self._database.session(self._dialect.begin_read)

    def _write(self, op: str, body: Callable[[Session], T]) -> T:
        operation = _Operation(op, body)
        try:
            result: T = self._retrying(self._attempt, operation)
        except _Doubtful as error:
            logger.exception("operation %s: the database went away before it said whether it was stored", op)
            raise Unavailable("The database went away in the middle: look whether the change was made.") from error
        if self._dialect.doubtful_commits and next(self._writes) % _PRUNE_EVERY == 0:
            self._prune()
        return result

    def _attempt(self, operation: _Operation[T]) -> T:
        try:
            with self._writing() as session:
                if self._dialect.doubtful_commits and self._is_stored(session, operation):
                    return operation.result
                session.changed = False
                operation.result = operation.body(session)
                self._commit(session, operation)
                return operation.result
        except Unavailable as error:
            if operation.doubtful:
                raise _Doubtful from error
            raise

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        if self._dialect.one_writer and not self._turn.acquire(timeout=WAIT_SECONDS):
            raise Contended("The database is busy with other writes.")
        try:
            with self._database.session(self._dialect.begin_write) as session:
                yield session
        finally:
            if self._dialect.one_writer:
                self._turn.release()

    def _is_stored(self, session: Session, operation: _Operation[Any]) -> bool:
        """Record the operation in its own transaction; whether an earlier attempt has done so and is committed.

        The record of an attempt that is still going on makes this one wait for its outcome.
        """
        if session.run(_RECORD, {"op": operation.op, "at": now()}):
            operation.doubtful = False
            return False
        if not operation.doubtful:
            raise IntegrityBroken(f"operation id {operation.op} was used before")
        return True

    def _commit(self, session: Session, operation: _Operation[Any]) -> None:
        try:
            session.commit()
        except LostConnection:
            operation.doubtful = self._dialect.doubtful_commits
            raise

    def _prune(self) -> None:
        try:
            with self._database.session(self._dialect.begin_write) as session:
                session.run(_PRUNE, {"before": now() - _OPERATIONS_KEPT})
                session.commit()
        except Unavailable as error:
            logger.warning("old operation records were not removed: %s", error)
