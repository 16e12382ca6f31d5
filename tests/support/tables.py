"""The contents of a database's tables, read without the repository, on every engine."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData, NullPool, Table, create_engine, func, inspect, select, table, text

from tams.repository.sql.tables import flow_keys, segments

Row = dict[str, Any]

OF_THE_DATABASE = frozenset({"alembic_version", "schema_reach", "operations", "locks", "schema_versions"})
"""Tables about versions and transactions, not about media."""


def table_names(url: str) -> list[str]:
    """Return the names of the tables about media."""
    if url.startswith("vast"):
        from tams.repository.vast.tables import TABLES

        return [table.name for table in TABLES if table.name not in OF_THE_DATABASE]
    engine = create_engine(url, poolclass=NullPool)
    return [name for name in inspect(engine).get_table_names() if name not in OF_THE_DATABASE]


def counts(url: str) -> dict[str, int]:
    """Return the number of rows of each table about media that has any."""
    if url.startswith("vast"):
        row_counts = {name: len(_vast_rows(url, name)) for name in table_names(url)}
    else:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            row_counts = {
                name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
                for name in table_names(url)
            }
    return {name: count for name, count in row_counts.items() if count}


def miscounted(url: str) -> list[Row]:
    """Return the Flows, also those being deleted, whose count of Segments is wrong.

    Not on VAST Database.
    """
    stored = select(func.count()).select_from(segments).where(segments.c.flow_key == flow_keys.c.key).scalar_subquery()
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        result = connection.execute(
            select(flow_keys.c.key, flow_keys.c.segment_count, stored.label("stored")).where(
                flow_keys.c.segment_count != stored
            )
        )
        return [dict(row) for row in result.mappings()]


def has_open_transactions(url: str) -> bool:
    """Return whether another session has an open transaction in the PostgreSQL database."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        result = connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
        )
        return bool(result.scalar_one())


def rows(url: str, name: str) -> list[Row]:
    """Return all rows of a table."""
    if url.startswith("vast"):
        return _vast_rows(url, name)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        result = connection.execute(select(Table(name, MetaData(), autoload_with=engine)))
        return [dict(row) for row in result.mappings()]


def _vast_rows(url: str, name: str) -> list[Row]:
    from tams.repository.vast.connection import Cluster
    from tams.repository.vast.tables import TABLES
    from tests.support.vast_clusters import address_of

    (vast_table,) = [candidate for candidate in TABLES if candidate.name == name]
    cluster = Cluster(address_of(url))
    snapshot = cluster.begin()
    try:
        return snapshot.rows(vast_table, vast_table.columns.names, [])
    finally:
        snapshot.roll_back()
        cluster.forget()
