"""Which code a schema serves: a database is upgraded first, and what runs goes on until it is restarted.

Each step of the schema from 0004 on says in `serves` the oldest `REVISION` whose code can work with what it leaves.
Revisions are numbers of four digits, so that they compare as texts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, inspect, select

from tams.repository.sql.tables import schema_reach

READ = select(schema_reach.c.serves).where(schema_reach.c.revision == bindparam("schema"))


def read(connection: Connection, schema: str) -> str | None:
    """The oldest code that the schema serves; None where it does not say so."""
    if not inspect(connection).has_table(schema_reach.name):
        return None
    serves: str | None = connection.execute(READ, {"schema": schema}).scalar()
    return serves


def record(connection: Connection, revision: Any) -> None:
    """Keep what the script of the revision promises, in the transaction that leads to it; old ones promise nothing."""
    serves = getattr(revision.module, "serves", None)
    if serves is not None:
        connection.execute(delete(schema_reach))
        connection.execute(insert(schema_reach).values(revision=revision.revision, serves=serves))
