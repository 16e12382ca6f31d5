"""The repository on SQLite and PostgreSQL."""

from tams.repository.sql.repository import SqlRepository


def upgrade(database_url: str) -> None:
    """Upgrade the schema as `migrate.upgrade` does."""
    # Imported late, because processes that serve requests do not need Alembic.
    from tams.repository.sql import migrate

    migrate.upgrade(database_url)


__all__ = ["SqlRepository", "upgrade"]
