"""Alembic's environment. `tams.repository.sql.migrate` runs it for one migration, on its connection.

On SQLite the transaction has begun already. On PostgreSQL Alembic manages it, so that a migration can leave it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from alembic import context

from tams.repository.sql import compatibility
from tams.repository.sql.tables import metadata


def _record(ctx: Any, step: Any, heads: Collection[Any], run_args: Mapping[str, Any]) -> None:
    if step.is_upgrade:
        compatibility.record(ctx.connection, step.up_revision)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=True,
    on_version_apply=_record,
)
with context.begin_transaction():
    context.run_migrations()
