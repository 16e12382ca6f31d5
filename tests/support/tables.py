"""What the tables of a database hold, looked at past the repository, on whichever database there is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData, NullPool, Table, create_engine, func, inspect, select, table, text

from tams.repository.sql.tables import flow_keys, segments

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


def counts(url: str) -> dict[str, int]:
    """How many rows each of those tables has, of those that have any."""
    if url.startswith("vast"):
        found = {name: len(_vast_rows(url, name)) for name in table_names(url)}
    else:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            found = {
                name: connection.execute(select(func.count()).select_from(table(name))).scalar_one()
                for name in table_names(url)
            }
    return {name: count for name, count in found.items() if count}


def miscounted(url: str) -> list[Row]:
    """The Flows, those that are being deleted included, that count another number of Segments than there are. Not on
    VAST Database."""
    stored = select(func.count()).select_from(segments).where(segments.c.flow_key == flow_keys.c.key).scalar_subquery()
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.execute(
            select(flow_keys.c.key, flow_keys.c.segment_count, stored.label("stored")).where(
                flow_keys.c.segment_count != stored
            )
        )
        return [dict(row) for row in found.mappings()]


def has_open_transactions(url: str) -> bool:
    """Whether PostgreSQL is still busy with somebody else's transaction in the database."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        open_ones = connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
        )
        return bool(open_ones.scalar_one())


def rows(url: str, name: str) -> list[Row]:
    """All rows of a table."""
    if url.startswith("vast"):
        return _vast_rows(url, name)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.execute(select(Table(name, MetaData(), autoload_with=engine)))
        return [dict(row) for row in found.mappings()]


def _vast_rows(url: str, name: str) -> list[Row]:
    from tams.repository.vast.connection import Cluster
    from tams.repository.vast.tables import TABLES
    from tests.support.vast_clusters import address_of

    (wanted,) = [each for each in TABLES if each.name == name]
    cluster = Cluster(address_of(url))
    snapshot = cluster.begin()
    try:
        return snapshot.rows(wanted, wanted.columns.names, [])
    finally:
        snapshot.roll_back()
        cluster.forget()
