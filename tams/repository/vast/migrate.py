"""Bringing a database to the schema that this code needs.

The version is recorded last. Each step is one transaction that changes nothing where it was done already, so a step
that was cut off, or is done by two processes at once, is done again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import sleep
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random
from vastdb.transaction import Transaction

from tams.domain.clock import now
from tams.domain.errors import Unavailable
from tams.repository.vast.concurrency.claims import STATE
from tams.repository.vast.concurrency.protocol import (
    LOCK_COLUMNS,
    MODE,
    MODE_KEY,
    STRIPES,
    agreed,
    lock_row,
    wrong_mode,
)
from tams.repository.vast.concurrency.stripes import STRIPE, new_stripes
from tams.repository.vast.connection import ROW_ID, Address, Cluster, Snapshot
from tams.repository.vast.failures import Broken, Collided, translated
from tams.repository.vast.predicates import equal
from tams.repository.vast.tables import LOCKS, REVISION, TABLES, VERSIONS, Table

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SORTED_SINCE = (5, 3)
_again = Retrying(
    retry=retry_if_exception_type((Broken, Collided)),
    wait=wait_random(0.1, 0.5),
    stop=stop_after_delay(60),
    reraise=True,
)


def upgrade(address: Address, *, change_concurrency: bool = False) -> None:
    """Make the tables that are missing, and record the version and how changes are kept apart.

    `Unavailable` when the database does not answer, is newer than this code, or has another concurrency; unless
    `change_concurrency`, which is for when no other process uses the database. That takes as long as a write may.
    """
    cluster = Cluster(address)
    try:
        found = _again(lambda: _in_transaction(cluster, lambda tx: _revisions(cluster, tx)))
        if any(int(each) > int(REVISION) for each in found):
            raise Unavailable(
                f"The database has schema {max(found, key=int)}, which this version does not know: it was made by a "
                "newer version of the store."
            )
        if REVISION not in found:
            logger.info("making the tables of schema %s in %s/%s", REVISION, address.bucket, address.schema)
            _again(lambda: _in_transaction(cluster, lambda tx: _make_schema(address, tx)))
            for table in (*TABLES, VERSIONS):
                _again(lambda table=table: _in_transaction(cluster, lambda tx: _make(cluster, tx, table)))
                _project(cluster, table)
        if _again(lambda: _agree(cluster, change=change_concurrency)):
            logger.warning("waiting until no write can be under way that began before")
            sleep(address.operation_timeout)
        if REVISION not in found:
            _again(lambda: _record(cluster))
    finally:
        cluster.forget()


def missing(address: Address) -> list[str]:
    """What the database lacks, as sentences; nothing where all is as it should be."""
    cluster = Cluster(address)
    try:
        return _again(lambda: _in_transaction(cluster, lambda tx: _lacks(cluster, tx)))
    finally:
        cluster.forget()


def described(address: Address) -> list[str]:
    """What the cluster is, as sentences."""
    cluster = Cluster(address)
    try:
        version = ".".join(map(str, _again(cluster.session).api.vast_version))
        sorts = "are sorted" if _sorts(cluster) else "are not sorted, this version has projections only"
        return [f"The cluster has VAST {version}: tables {sorts}."]
    finally:
        cluster.forget()


def _lacks(cluster: Cluster, tx: Transaction) -> list[str]:
    schema = _schema(cluster.address, tx)
    if schema is None:
        return [f"there is no schema {cluster.address.schema}: run `tams db upgrade`"]
    lacking = []
    for table in (*TABLES, VERSIONS):
        found = schema.table(table.name, fail_if_missing=False)
        if found is None:
            lacking.append(f"there is no table {table.name}: run `tams db upgrade`")
            continue
        found.reload_schema()
        held = {field.name: field.type for field in found.arrow_schema}
        lacking += [
            f"table {table.name} has no column {field.name} of type {field.type}"
            for field in table.columns
            if held.get(field.name) != field.type
        ]
        names = {projection.name for projection in found.projections(include_stats=False)}
        lacking += [
            f"table {table.name} has no projection by {'and '.join(columns)}: looking rows up by it reads all of it"
            for name, columns in _projections(cluster, table)
            if name not in names
        ]
    return lacking


def _in_transaction(cluster: Cluster, step: Callable[[Transaction], T]) -> T:
    with cluster.committed() as snapshot, translated():
        return step(snapshot.transaction)


def _schema(address: Address, tx: Transaction) -> Any:
    return tx.bucket(address.bucket).schema(address.schema, fail_if_missing=False)


def _make_schema(address: Address, tx: Transaction) -> None:
    if _schema(address, tx) is None:
        tx.bucket(address.bucket).create_schema(address.schema)


def _sorts(cluster: Cluster) -> bool:
    return tuple(cluster.session().api.vast_version) >= _SORTED_SINCE


def _make(cluster: Cluster, tx: Transaction, table: Table) -> None:
    sorting = list(table.sorting) if _sorts(cluster) else []
    _schema(cluster.address, tx).create_table(table.name, table.columns, fail_if_exists=False, sorting_key=sorting)


def _projections(cluster: Cluster, table: Table) -> list[tuple[str, tuple[str, ...]]]:
    """Names and sorted columns: for each way of looking rows up that the order of the table does not serve."""
    wanted: list[tuple[str, ...]] = [(column,) for column in table.lookups]
    if table.sorting and not _sorts(cluster):
        wanted.append(table.sorting)
    return [(f"by_{'_'.join(columns)}", columns) for columns in wanted]


def _project(cluster: Cluster, table: Table) -> None:
    """Make the projections. Without them everything works, and more is read: where a cluster refuses, go on."""

    def step(tx: Transaction) -> None:
        made = _schema(cluster.address, tx).table(table.name)
        there = {projection.name for projection in made.projections(include_stats=False)}
        for name, columns in _projections(cluster, table):
            if name not in there:
                made.create_projection(
                    name, list(columns), [field.name for field in table.columns if field.name not in columns]
                )

    if not _projections(cluster, table):
        return
    try:
        _again(lambda: _in_transaction(cluster, step))
    except Unavailable as error:
        logger.warning("table %s has no projections, looking rows up will be slow: %s", table.name, error)


def _revisions(cluster: Cluster, tx: Transaction) -> set[str]:
    schema = _schema(cluster.address, tx)
    table = None if schema is None else schema.table(VERSIONS.name, fail_if_missing=False)
    if table is None:
        return set()
    table.reload_schema()
    table.reload_stats()
    return set(table.select(["revision"]).read_all()["revision"].to_pylist())


def _agree(cluster: Cluster, *, change: bool) -> bool:
    """Store what keeps changes apart, and make the stripes; whether there was something else before."""
    mode = cluster.address.concurrency
    with cluster.committed() as snapshot:
        rows = snapshot.rows(LOCKS, LOCK_COLUMNS, [equal("key", MODE_KEY)], row_ids=True)
        before = agreed(rows) - {mode} if rows or _has_states(snapshot) else set()
        if before and not change:
            raise Unavailable(wrong_mode(agreed(rows), mode))
        added = [] if rows and not before else [lock_row(MODE_KEY, MODE, mode, 0)]
        if mode == STRIPES:
            there = {row["key"] for row in snapshot.rows(LOCKS, ("key",), [equal("kind", STRIPE)])}
            added += new_stripes(there)
        if before:
            snapshot.delete(LOCKS, [row[ROW_ID] for row in rows])
        if added:
            snapshot.insert(LOCKS, added)
    return bool(before)


def _has_states(snapshot: Snapshot) -> bool:
    """Whether anything was written under claims."""
    return bool(snapshot.rows(LOCKS, ("key",), [equal("kind", STATE)], 1))


def _record(cluster: Cluster) -> None:
    """Twice is harmless: what counts is the highest."""
    with cluster.committed() as snapshot:
        snapshot.insert(VERSIONS, [{"revision": REVISION, "at": now()}])
