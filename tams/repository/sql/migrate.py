"""Bringing a database to the schema that this code needs, with Alembic."""

from __future__ import annotations

import importlib.util
import logging
import random
import sqlite3
import time
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from tams.domain.errors import Unavailable
from tams.repository.sql import compatibility
from tams.repository.sql.dialects import WAIT_SECONDS, dialect_of
from tams.repository.sql.tables import REVISION

logger = logging.getLogger(__name__)

LOCK_MS = 1000
"""How long a step waits for the lock on a table before it makes way for those that wait behind it, and tries again."""
PATIENCE = 300.0
"""How many seconds a step goes on trying."""

_TURN = 0x7A3D_1E55_0C21
"""The number of the advisory lock that upgrading processes queue for (PostgreSQL)."""

_WAITED_IN_VAIN = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected (PostgreSQL)."""


class _LockNotFree(Exception):
    """Somebody else holds a lock that a step needs."""


def upgrade(database_url: str, patience: float = PATIENCE) -> None:
    """Upgrade to the newest schema, step by step: a kill leaves whole steps, and the next upgrade goes on from there.

    Several processes may do it at once, beside others that serve. `Unavailable` when the database does not answer, when
    a step did not get its locks within `patience` seconds, or when the schema is newer and not for this code any more.
    `ValueError` for an unsupported URL.
    """
    engine = migration_engine(database_url)
    try:
        if engine.dialect.name == "sqlite":
            _use_write_ahead_log(engine)
        with engine.connect() as connection:
            _wait_for_turn(connection)
            while _step(connection, patience):
                pass
    except DBAPIError as error:
        raise Unavailable(f"The database cannot be upgraded: {error.orig}") from error
    finally:
        engine.dispose()


def migration_engine(database_url: str) -> Engine:
    """An engine for steps: on SQLite a transaction takes the write lock when it begins, on PostgreSQL no statement
    waits long for a lock, because everybody who needs the same table would wait behind it."""
    url = make_url(database_url)
    dialect = dialect_of(url)
    arguments = dialect.arguments(url)
    if dialect.one_writer:
        engine = create_engine(url, poolclass=NullPool, **arguments)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(dialect.begin_write))
    else:
        connect = arguments["connect_args"]
        connect["options"] += f" -c lock_timeout={LOCK_MS}"
        # The driver begins transactions, and leaves that where a step asks for it.
        del connect["autocommit"]
        engine = create_engine(url, poolclass=NullPool, **arguments)
    event.listen(engine, "connect", lambda connection, _record: dialect.prepare(connection))
    return engine


def scripts_location() -> Path:
    """Where the migrations are: beside the package in a checkout, installed as `tams_migrations` otherwise."""
    top = Path(__file__).resolve().parents[3]
    # Any package may have put a `migrations` beside an installed `tams`; only a checkout has `setup.cfg` there, too.
    if (top / "setup.cfg").is_file():
        return top / "migrations"
    spec = importlib.util.find_spec("tams_migrations")
    if spec is None or spec.origin is None:
        raise Unavailable("The database migrations are not installed.")
    return Path(spec.origin).parent


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for one connection."""
    config = Config()
    config.set_main_option("script_location", str(scripts_location()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _wait_for_turn(connection: Connection) -> None:
    """Take the lock of upgrading processes (PostgreSQL), which the server frees when the connection ends."""
    # Asked for again and again: an index that is built beside writers waits for every statement that has begun, also
    # for one that waits here.
    while not _is_our_turn(connection):
        time.sleep(random.uniform(0.05, 0.2))  # noqa: S311


def _is_our_turn(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return True
    with connection.begin():
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:turn)"), {"turn": _TURN}).scalar())


def _step(connection: Connection, patience: float) -> bool:
    """Do the next step, again and again until it has got its locks; False where there is none."""
    attempts = Retrying(
        retry=retry_if_exception_type(_LockNotFree),
        wait=wait_random(0.1, 0.5),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    try:
        return attempts(_try_step, connection)
    except _LockNotFree as error:
        raise Unavailable(
            f"The database cannot be upgraded: for {patience:g} seconds others held a lock that a step needs. "
            "Look for transactions that stay open (pg_stat_activity)."
        ) from error


def _try_step(connection: Connection) -> bool:
    try:
        # SQLite: the revision is read and changed under the write lock. PostgreSQL: it is our turn, and Alembic has
        # the transaction, because a step may have to leave it to build an index.
        with connection.begin():
            config = configuration(connection)
            current = MigrationContext.configure(connection).get_current_revision()
            going = _goes_on(connection, config, current)
            if going and connection.dialect.name == "sqlite":
                command.upgrade(config, "+1")
        if going and connection.dialect.name == "postgresql":
            command.upgrade(config, "+1")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _WAITED_IN_VAIN:
            connection.rollback()
            logger.info("a step of the upgrade makes way for others, and is tried again")
            raise _LockNotFree from error
        raise
    return going


def _goes_on(connection: Connection, config: Config, current: str | None) -> bool:
    """Whether there is a step to do. `Unavailable` where the schema is newer than this code and not for it."""
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    if current == head:
        return False
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        serves = compatibility.read(connection, current)
        if serves is None or serves > REVISION:
            raise Unavailable(
                f"The database has schema {current}, which this version does not know: "
                "it was made by a newer version of the store."
            )
        logger.info("the database has the newer schema %s, which is for this version too", current)
        return False
    logger.info("upgrading the database from schema %s towards %s", current, head)
    return True


def _use_write_ahead_log(engine: Engine) -> None:
    """Kept in the file from then on. The switch does not wait for other connections by itself."""
    attempts = Retrying(
        retry=retry_if_exception_type(sqlite3.OperationalError),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_delay(WAIT_SECONDS),
        reraise=True,
    )
    try:
        connection = engine.raw_connection()
        try:
            attempts(cast("Any", connection.driver_connection).execute, "PRAGMA journal_mode = WAL")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unavailable(f"The database cannot be opened: {error}") from error
