"""Upgrades of a database to the schema that this code needs, with Alembic."""

from __future__ import annotations

import importlib.util
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_random

from tams.domain.errors import Unavailable
from tams.repository.sql import compatibility
from tams.repository.sql.dialects import WAIT_SECONDS, dialect_of
from tams.repository.sql.tables import REVISION

logger = logging.getLogger(__name__)

LOCK_MS = 1000
"""Longest wait of a migration for a lock on a table, before it lets the requests behind it pass and is retried."""
PATIENCE = 300.0
"""Seconds after which a migration that does not get its locks is given up."""

_UPGRADE_LOCK = 0x7A3D_1E55_0C21
"""The number of the advisory lock that upgrading processes queue for (PostgreSQL)."""

_LOCK_STATES = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected (PostgreSQL)."""


class _LockNotFree(Exception):
    """Another transaction holds a lock that a migration needs."""


def upgrade(database_url: str, patience: float = PATIENCE) -> None:
    """Upgrade to the newest schema, one migration at a time.

    Several processes may call this at once, while others serve requests. If the process is killed, the migrations done
    so far are whole, and the next upgrade continues after them.

    Raises:
        Unavailable: the database does not answer, a migration did not get its locks within `patience` seconds, or the
            schema is newer than this code and does not serve it.
        ValueError: the URL is not supported.
    """
    engine = migration_engine(database_url)
    try:
        if engine.dialect.name == "sqlite":
            _create_private_file(Path(str(engine.url.database)))
            _use_write_ahead_log(engine)
        with engine.connect() as connection:
            _wait_for_turn(connection)
            while _run_next(connection, patience):
                pass
    except DBAPIError as error:
        raise Unavailable(f"The database cannot be upgraded: {error.orig}") from error
    finally:
        engine.dispose()


def is_created(database_url: str) -> bool:
    """Return False if the database has no schema of the store, or does not exist yet. Creates nothing.

    Raises:
        Unavailable: the database does not answer.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return False
    engine = migration_engine(database_url)
    try:
        return inspect(engine).has_table("alembic_version")
    except DBAPIError as error:
        raise Unavailable(f"The database does not answer: {error.orig}") from error
    finally:
        engine.dispose()


def migration_engine(database_url: str) -> Engine:
    """Return an engine for migrations.

    On SQLite a transaction takes the write lock when it begins. On PostgreSQL a statement waits for a lock only
    `LOCK_MS`, because every request for the same table would queue behind it.
    """
    url = make_url(database_url)
    dialect = dialect_of(url)
    arguments = dialect.arguments(url)
    if dialect.one_writer:
        engine = create_engine(url, poolclass=NullPool, **arguments)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(dialect.begin_write))
    else:
        connect = arguments["connect_args"]
        connect["options"] += f" -c lock_timeout={LOCK_MS}"
        # The driver begins transactions, and a migration may switch to autocommit.
        del connect["autocommit"]
        engine = create_engine(url, poolclass=NullPool, **arguments)
    event.listen(engine, "connect", lambda connection, _record: dialect.prepare(connection))
    return engine


def scripts_location() -> Path:
    """Return the folder of the migrations: beside the package in a checkout, `tams_migrations` if installed."""
    top = Path(__file__).resolve().parents[3]
    # Another package may have installed a `migrations` beside `tams`; only a checkout has `setup.cfg` there too.
    if (top / "setup.cfg").is_file():
        return top / "migrations"
    spec = importlib.util.find_spec("tams_migrations")
    if spec is None or spec.origin is None:
        raise Unavailable(
            "The package `tams_migrations` with the database migrations is not installed. Install the server again."
        )
    return Path(spec.origin).parent


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for one connection."""
    config = Config()
    config.set_main_option("script_location", str(scripts_location()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _wait_for_turn(connection: Connection) -> None:
    """Take the lock of upgrading processes (PostgreSQL). The server releases it when the connection ends."""
    # This polls: the concurrent build of an index waits for every statement that has begun, and a statement that waited
    # for this lock would be one of them.
    Retrying(retry=retry_if_result(lambda is_ours: not is_ours), wait=wait_random(0.05, 0.2))(_is_our_turn, connection)


def _is_our_turn(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return True
    with connection.begin():
        return bool(connection.execute(text("SELECT pg_try_advisory_lock(:turn)"), {"turn": _UPGRADE_LOCK}).scalar())


def _run_next(connection: Connection, patience: float) -> bool:
    """Run the next migration, and retry until it gets its locks. Return False if there is none."""
    attempts = Retrying(
        retry=retry_if_exception_type(_LockNotFree),
        wait=wait_random(0.1, 0.5),
        stop=stop_after_delay(patience),
        reraise=True,
    )
    try:
        return attempts(_try_next, connection)
    except _LockNotFree as error:
        raise Unavailable(
            f"The database cannot be upgraded: for {patience:g} seconds other transactions held a lock that a "
            "migration needs. Look for transactions that stay open (pg_stat_activity), end them, and upgrade again."
        ) from error


def _try_next(connection: Connection) -> bool:
    try:
        # SQLite: the revision is read and changed under the write lock. PostgreSQL: this process holds the upgrade
        # lock, and Alembic manages the transaction, because a migration may have to leave it to build an index.
        with connection.begin():
            config = configuration(connection)
            current = MigrationContext.configure(connection).get_current_revision()
            is_pending = _is_pending(connection, config, current)
            if is_pending and connection.dialect.name == "sqlite":
                command.upgrade(config, "+1")
        if is_pending and connection.dialect.name == "postgresql":
            command.upgrade(config, "+1")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _LOCK_STATES:
            connection.rollback()
            logger.info("a migration did not get its lock in time and lets requests pass; it is retried")
            raise _LockNotFree from error
        raise
    return is_pending


def _is_pending(connection: Connection, config: Config, current: str | None) -> bool:
    """Tell whether a migration is left to run.

    Raises:
        Unavailable: the schema is newer than this code and does not serve it.
    """
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    if current == head:
        return False
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        serves = compatibility.read(connection, current)
        if serves is None or serves > REVISION:
            raise Unavailable(
                f"The database has schema {current}, which this version does not know: "
                "it was made by a newer version of the store. Start that version."
            )
        logger.info("the database has the newer schema %s, which serves this version too", current)
        return False
    if current is None:
        logger.info("setting up a new database, up to schema %s", head)
    else:
        logger.info("upgrading the database from schema %s towards %s", current, head)
    return True


def _create_private_file(path: Path) -> None:
    """Create an empty database that only its owner can read, whatever the umask; leave an existing file alone.

    SQLite gives the files of its write-ahead log the mode of the database.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise Unavailable(f"The database {path} cannot be created: {error.strerror}.") from error
    try:
        # The umask of the process may have taken more away.
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _use_write_ahead_log(engine: Engine) -> None:
    """Switch the file to write-ahead logging for good. The switch itself does not wait for other connections."""
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
