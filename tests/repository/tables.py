"""What the tables of a database hold, looked at past the repository, on whichever database there is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData, NullPool, Table, create_engine, inspect, select

Row = dict[str, Any]

OF_THE_DATABASE = frozenset({"alembic_version", "schema_reach", "operations", "locks", "schema_versions"})
"""What is about versions and transactions, and not about media."""


def table_names(url: str) -> list[str]:
    """The tables that say something about media."""
    if url.startswith("vast"):
        from tams.repository.vast.tables import TABLES

        return [table.name for table in TABLES if table.name not in OF_THE_DATABASE]
    engine = create_engine(url, poolclass=NullPool)
    return [name for name in inspect(engine).get_table_names() if name not in OF_THE_DATABASE]


def rows(url: str, table: str) -> list[Row]:
    """All rows of a table."""
    if url.startswith("vast"):
        return _vast_rows(url, table)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.execute(select(Table(table, MetaData(), autoload_with=engine)))
        return [dict(row) for row in found.mappings()]


def _vast_rows(url: str, table: str) -> list[Row]:
    from tams.repository.vast.connection import Cluster
    from tams.repository.vast.tables import TABLES
    from tests.repository.vast.steps import address_of

    (wanted,) = [each for each in TABLES if each.name == table]
    cluster = Cluster(address_of(url))
    snapshot = cluster.begin()
    try:
        return snapshot.rows(wanted, wanted.columns.names, [])
    finally:
        snapshot.roll_back()
        cluster.forget()
