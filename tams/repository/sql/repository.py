"""The repository on SQLite and PostgreSQL: snapshots, transactions that are retried where that is safe, leases."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy import Executable, bindparam, column, delete, select, table
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from typing_extensions import override

from tams.domain.clock import MICROSECONDS, now
from tams.domain.errors import Contended, IntegrityBroken, Unavailable
from tams.domain.identifiers import new_id
from tams.repository.port import Job, Pace, Read, Repository, Write
from tams.repository.sql import compatibility, jobs
from tams.repository.sql.dialects import NOT_SET_UP, WAIT_SECONDS, LostConnection, LostRace, insert_new
from tams.repository.sql.engine import Database, Session, Transaction
from tams.repository.sql.rights import check_rights
from tams.repository.sql.tables import REVISION, operations
from tams.repository.sql.transaction import SqlRead, SqlWrite

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ATTEMPTS = 10
_MAX_DOUBT_SECONDS = 20
"""Longest search for the outcome of a doubtful commit, before the write fails."""
_OPERATION_LIFETIME = 24 * 3600 * MICROSECONDS
_PRUNE_INTERVAL = 500
"""Writes of a process from one removal of old operation records to the next."""

_RECORD = insert_new(operations)
_FORGET = delete(operations).where(operations.c.op == bindparam("op"))
_PRUNE = delete(operations).where(operations.c.at < bindparam("before"))
_REVISION: Executable = select(column("version_num")).select_from(table("alembic_version"))


class _Doubtful(Exception):
    """The connection was lost after the commit was sent and before its answer arrived."""


class _Operation(Generic[T]):
    """A write, over all its attempts. `doubtful` is True while the outcome of a commit is unknown."""

    __slots__ = ("doubtful", "op", "result", "transact")

    def __init__(self, op: str, transact: Callable[[Session], T]) -> None:
        self.op = op
        self.transact = transact
        self.doubtful = False
        self.result: T


def _stop(state: RetryCallState) -> bool:
    operation: _Operation[Any] = state.args[0]
    if operation.doubtful:
        return (state.seconds_since_start or 0) > _MAX_DOUBT_SECONDS
    return state.attempt_number >= _ATTEMPTS


class SqlRepository(Repository):
    """The repository of one process, on SQLite (`sqlite:///file`) or PostgreSQL (`postgresql+psycopg://…`).

    It connects when it is first used.

    Raises:
        ValueError: the URL is of another kind.
    """

    patience = 1.0

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)
        self._dialect = self._database.dialect
        # Where the engine allows one writer at a time, the threads of this process queue here instead of polling it.
        self._write_turn = threading.Lock()
        self._writes = itertools.count(1)
        self._retrying = Retrying(
            retry=retry_if_exception_type((LostRace, LostConnection, _Doubtful)),
            wait=wait_random_exponential(multiplier=0.01, max=1),
            stop=_stop,
            reraise=True,
        )

    @property
    @override
    def pace(self) -> Pace:
        return self._dialect.pace

    @override
    def read(self) -> AbstractContextManager[Read]:
        return Transaction(self._database, self._dialect.begin_read, SqlRead)

    @override
    def ask(self, question: Callable[[Read], T]) -> T:
        # A single statement sees one moment without a transaction around it.
        return self._database.ask(lambda session: question(SqlRead(session)))

    @override
    def write(self, op: str, transact: Callable[[Write], T], /) -> T:
        return self._write(op, lambda session: transact(SqlWrite(session)))

    @override
    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        if not self._database.ask(lambda session: jobs.any_due(session, kind)):
            return []
        return self._write(new_id(), lambda session: jobs.lease(session, kind, worker, limit, seconds))

    @override
    def prolong(self, job: Job, seconds: int) -> bool:
        return self._write(new_id(), lambda session: jobs.prolong(session, job, seconds))

    @override
    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None = None) -> None:
        self._write(new_id(), lambda session: jobs.postpone(session, job, due, payload))

    @override
    def check(self) -> None:
        # A newer schema passes if it says that it serves this code.
        with self._reading() as session:
            row = session.row(_REVISION, {})
            is_newer = row is not None and row[0] > REVISION
            serves = session.row(compatibility.READ, {"schema": row[0]}) if row is not None and is_newer else None
        if row is not None and row[0] == REVISION:
            return
        if row is None:
            raise Unavailable(NOT_SET_UP)
        if serves is None or serves[0] > REVISION:
            raise Unavailable(
                f"The database has schema {row[0]}, this version of the store needs {REVISION}. Run `tams db upgrade`, "
                "or start the version that made the schema."
            )

    # Committed, because only a commit shows that the disk takes it.
    @override
    def check_writable(self) -> None:
        operation = {"op": new_id(), "at": now()}
        try:
            with self._writing() as session:
                if self._dialect.name == "postgresql":
                    check_rights(session)
                session.run(_RECORD, operation)
                session.run(_FORGET, {"op": operation["op"]})
                session.commit()
        except Contended as error:
            logger.info("the database is being written to, and was not probed: %s", error)

    @override
    def close(self) -> None:
        self._database.close()

    def _reading(self) -> AbstractContextManager[Session]:
        return self._database.session(self._dialect.begin_read)

    def _write(self, op: str, transact: Callable[[Session], T]) -> T:
        operation = _Operation(op, transact)
        try:
            result: T = self._retrying(self._attempt, operation)
        except _Doubtful as error:
            logger.exception("operation %s: the connection was lost during the commit, and its outcome is unknown", op)
            raise Unavailable(
                "The connection to the database was lost during the commit. Check whether the change was stored."
            ) from error
        if self._dialect.doubtful_commits and next(self._writes) % _PRUNE_INTERVAL == 0:
            self._prune()
        return result

    def _attempt(self, operation: _Operation[T]) -> T:
        try:
            with self._writing() as session:
                if self._dialect.doubtful_commits and self._is_stored(session, operation):
                    return operation.result
                session.changed = False
                operation.result = operation.transact(session)
                self._commit(session, operation)
                return operation.result
        except Unavailable as error:
            if operation.doubtful:
                raise _Doubtful from error
            raise

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        if self._dialect.one_writer and not self._write_turn.acquire(timeout=WAIT_SECONDS):
            raise Contended("The database is busy with other writes.")
        try:
            with self._database.session(self._dialect.begin_write) as session:
                yield session
        finally:
            if self._dialect.one_writer:
                self._write_turn.release()

    def _is_stored(self, session: Session, operation: _Operation[Any]) -> bool:
        """Record the operation in its own transaction. Return True if an earlier attempt is already committed.

        If an earlier attempt is still running, its record makes this one wait for the outcome.

        Raises:
            IntegrityBroken: another operation had the same id.
        """
        if session.run(_RECORD, {"op": operation.op, "at": now()}):
            operation.doubtful = False
            return False
        if not operation.doubtful:
            raise IntegrityBroken(f"The operation id {operation.op} was used before.")
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
                session.run(_PRUNE, {"before": now() - _OPERATION_LIFETIME})
                session.commit()
        except Unavailable as error:
            logger.warning("could not remove old operation records: %s", error)
