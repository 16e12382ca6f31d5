"""The repository on SQLite and PostgreSQL."""

from tams.repository.sql.repository import SqlRepository


def upgrade(database_url: str) -> None:
    """Upgrade the schema as `migrate.upgrade` does."""
    # Imported late, because processes that serve requests do not need Alembic.
    from tams.repository.sql import migrate

    migrate.upgrade(database_url)


def is_created(database_url: str) -> bool:
    """Return whether the database has the schema, as `migrate.is_created` does."""
    from tams.repository.sql import migrate

    return migrate.is_created(database_url)


__all__ = ["SqlRepository", "is_created", "upgrade"]
