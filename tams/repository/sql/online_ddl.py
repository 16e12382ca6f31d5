"""Changes to tables that are in use, for migrations: requests wait for a lock at most."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

_IS_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def create_index(name: str, table: str, columns: list[str], *, unique: bool = False, where: str | None = None) -> None:
    """Build an index on a table that may be large and in use.

    On PostgreSQL readers and writers go on meanwhile. This requires leaving the transaction of the migration, which
    commits its changes so far: call this first. A migration that was interrupted here can be repeated.
    """
    condition = None if where is None else text(where)
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(name, table, columns, unique=unique, sqlite_where=condition)
        return
    with op.get_context().autocommit_block():
        valid = op.get_bind().execute(_IS_VALID, {"name": name}).scalar()
        if valid:
            return
        # Readers and writers do not queue behind the locks that are requested here, so waiting for them is harmless.
        op.execute("SET lock_timeout = 0")
        if valid is not None:
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.create_index(name, table, columns, unique=unique, postgresql_where=condition, postgresql_concurrently=True)
        op.execute("RESET lock_timeout")
