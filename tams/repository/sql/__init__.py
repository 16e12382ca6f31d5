"""The repository on SQLite and PostgreSQL."""

from tams.repository.sql.repository import SqlRepository


def upgrade(database_url: str) -> None:
    """See `migrate.upgrade`. Alembic is imported only here, because serving processes have no use for it."""
    from tams.repository.sql import migrate

    migrate.upgrade(database_url)


__all__ = ["SqlRepository", "upgrade"]
