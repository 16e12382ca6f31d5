"""Schema compatibility: which code can work with a schema.

A database is upgraded first, and processes of the version before keep running until they are restarted. Each migration
from 0004 on states in `serves` the oldest `REVISION` whose code can work with the schema that it leaves. Revisions have
four digits, so that they compare as texts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, inspect, select

from tams.repository.sql.tables import schema_reach

READ = select(schema_reach.c.serves).where(schema_reach.c.revision == bindparam("schema"))


def read(connection: Connection, schema: str) -> str | None:
    """Return the oldest revision whose code can work with the schema; None if the schema does not state it."""
    if not inspect(connection).has_table(schema_reach.name):
        return None
    serves: str | None = connection.execute(READ, {"schema": schema}).scalar()
    return serves


def record(connection: Connection, revision: Any) -> None:
    """Store the `serves` of a migration, in its own transaction. Migrations before 0004 have none."""
    serves = getattr(revision.module, "serves", None)
    if serves is not None:
        connection.execute(delete(schema_reach))
        connection.execute(insert(schema_reach).values(revision=revision.revision, serves=serves))
