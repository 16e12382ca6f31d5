"""Bringing a database to the schema that this code needs, with Alembic."""

from __future__ import annotations

import importlib.util
import logging
import sqlite3
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
from tams.repository.sql.dialects import WAIT_SECONDS, dialect_of

logger = logging.getLogger(__name__)

_LOCK = 0x7A3D_1E55_0C21
"""The number of the advisory lock that upgrading processes queue for (PostgreSQL)."""


def upgrade(database_url: str) -> None:
    """Upgrade to the newest schema, in one transaction: several processes may do it at once, and a kill leaves no half.

    `Unavailable` when the database does not answer, or is newer than this code. `ValueError` for an unsupported URL.
    """
    engine = migration_engine(database_url)
    try:
        if engine.dialect.name == "sqlite":
            _use_write_ahead_log(engine)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _upgrade(connection)
    except DBAPIError as error:
        raise Unavailable(f"The database cannot be upgraded: {error.orig}") from error
    finally:
        engine.dispose()


def migration_engine(database_url: str) -> Engine:
    """An engine whose transactions take the write lock when they begin, so that only one process migrates."""
    url = make_url(database_url)
    dialect = dialect_of(url)
    engine = create_engine(url, poolclass=NullPool, **dialect.arguments(url))
    event.listen(engine, "connect", lambda connection, _record: dialect.prepare(connection))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(dialect.begin_write))
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


def _upgrade(connection: Connection) -> None:
    config = configuration(connection)
    current = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise Unavailable(
            f"The database has schema {current}, which this version does not know: "
            "it was made by a newer version of the store."
        )
    if current == scripts.get_current_head():
        return
    logger.info("upgrading the database from schema %s to %s", current, scripts.get_current_head())
    command.upgrade(config, "head")


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
