"""Migration of a database to the schema that this code needs.

The version is recorded last. Each step is one transaction that changes nothing if the step was done already. So a step
may be repeated after an interruption, and two processes may run it at once.
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
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.concurrency.claims import STATE
from tams.repository.vast.concurrency.lock_rows import LOCK_COLUMNS, lock_row
from tams.repository.vast.concurrency.modes import MODE, MODE_KEY, STRIPES, stored_modes, wrong_mode_message
from tams.repository.vast.concurrency.stripes import STRIPE, missing_stripes
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import Broken, LostRace, translated
from tams.repository.vast.predicates import equal
from tams.repository.vast.reach import check_reach
from tams.repository.vast.sessions import Address
from tams.repository.vast.tables import LOCKS, REVISION, TABLES, VERSIONS, Table

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SORTED_SINCE = (5, 3)
"""The first version of VAST with sorted tables."""
_retry_step = Retrying(
    retry=retry_if_exception_type((Broken, LostRace)),
    wait=wait_random(0.1, 0.5),
    stop=stop_after_delay(60),
    reraise=True,
)


def upgrade(address: Address, *, change_concurrency: bool = False) -> None:
    """Create the missing tables; record the version of the schema and the concurrency mode.

    `change_concurrency` changes the mode of the database. No other process may use the database then. It takes as long
    as a write may take.

    Raises:
        Unavailable: the database does not answer, is newer than this code, or has another mode.
    """
    check_reach(address)
    cluster = Cluster(address)
    try:
        revisions = _run_step(cluster, lambda tx: _read_revisions(cluster, tx))
        if any(int(revision) > int(REVISION) for revision in revisions):
            raise Unavailable(
                f"The database has schema {max(revisions, key=int)}, which this version does not know: it was made by "
                "a newer version of the store."
            )
        if REVISION not in revisions:
            logger.info("creating the tables of schema %s in %s/%s", REVISION, address.bucket, address.schema)
            _run_step(cluster, lambda tx: _create_schema(address, tx))
            for table in (*TABLES, VERSIONS):
                _run_step(cluster, lambda tx, table=table: _create_table(cluster, tx, table))  # type: ignore[misc]
                _create_projections(cluster, table)
        if _retry_step(lambda: _store_mode(cluster, change=change_concurrency)):
            logger.warning("waiting until every write that began before the change has ended")
            sleep(address.operation_timeout)
        if REVISION not in revisions:
            _retry_step(lambda: _record_revision(cluster))
    finally:
        cluster.forget()


def missing(address: Address) -> list[str]:
    """Return sentences about what the database lacks; none if its schema is complete."""
    cluster = Cluster(address)
    try:
        return _run_step(cluster, lambda tx: _find_missing(cluster, tx))
    finally:
        cluster.forget()


def is_created(address: Address) -> bool:
    """Return False if the schema has no table of the store, or does not exist yet. Creates nothing."""
    check_reach(address)
    cluster = Cluster(address)

    def has_table(tx: Transaction) -> bool:
        schema = _schema(address, tx)
        return schema is not None and any(
            schema.table(table.name, fail_if_missing=False) is not None for table in (*TABLES, VERSIONS)
        )

    try:
        return _run_step(cluster, has_table)
    finally:
        cluster.forget()


def described(address: Address) -> list[str]:
    """Return sentences that describe the cluster."""
    check_reach(address)
    cluster = Cluster(address)
    try:
        version = ".".join(map(str, _retry_step(cluster.session).api.vast_version))
        sorts = "are sorted" if _can_sort(cluster) else "are not sorted, this version has projections only"
        return [f"The cluster has VAST {version}: tables {sorts}."]
    finally:
        cluster.forget()


def _find_missing(cluster: Cluster, tx: Transaction) -> list[str]:
    schema = _schema(cluster.address, tx)
    if schema is None:
        return [f"there is no schema {cluster.address.schema}: run `tams db upgrade`"]
    sentences = []
    for table in (*TABLES, VERSIONS):
        handle = schema.table(table.name, fail_if_missing=False)
        if handle is None:
            sentences.append(f"there is no table {table.name}: run `tams db upgrade`")
            continue
        handle.reload_schema()
        types = {field.name: field.type for field in handle.arrow_schema}
        sentences += [
            f"table {table.name} has no column {field.name} of type {field.type}"
            for field in table.columns
            if types.get(field.name) != field.type
        ]
        names = {projection.name for projection in handle.projections(include_stats=False)}
        sentences += [
            f"table {table.name} has no projection by {'and '.join(columns)}: looking rows up by it reads all of it"
            for name, columns in _projections(cluster, table)
            if name not in names
        ]
    return sentences


def _run_step(cluster: Cluster, step: Callable[[Transaction], T]) -> T:
    """Run a step in a transaction of the SDK and commit it; repeat it after a failure or a lost race."""

    def run_once() -> T:
        with cluster.committed() as transaction, translated():
            return step(transaction.transaction)

    return _retry_step(run_once)


def _schema(address: Address, tx: Transaction) -> Any:
    return tx.bucket(address.bucket).schema(address.schema, fail_if_missing=False)


def _create_schema(address: Address, tx: Transaction) -> None:
    if _schema(address, tx) is None:
        tx.bucket(address.bucket).create_schema(address.schema)


def _can_sort(cluster: Cluster) -> bool:
    return tuple(cluster.session().api.vast_version) >= _SORTED_SINCE


def _create_table(cluster: Cluster, tx: Transaction, table: Table) -> None:
    sorting = list(table.sorting) if _can_sort(cluster) else []
    _schema(cluster.address, tx).create_table(table.name, table.columns, fail_if_exists=False, sorting_key=sorting)


def _projections(cluster: Cluster, table: Table) -> list[tuple[str, tuple[str, ...]]]:
    """Return the name and the sorted columns of each projection that a table needs.

    It needs one for each way of looking rows up that the sorting of the table does not serve.
    """
    sorted_columns: list[tuple[str, ...]] = [(column,) for column in table.lookups]
    if table.sorting and not _can_sort(cluster):
        sorted_columns.append(table.sorting)
    return [(f"by_{'_'.join(columns)}", columns) for columns in sorted_columns]


def _create_projections(cluster: Cluster, table: Table) -> None:
    """Create the projections of a table. If the cluster refuses, continue: without them queries read more."""

    def step(tx: Transaction) -> None:
        handle = _schema(cluster.address, tx).table(table.name)
        existing = {projection.name for projection in handle.projections(include_stats=False)}
        for name, columns in _projections(cluster, table):
            if name not in existing:
                handle.create_projection(
                    name, list(columns), [field.name for field in table.columns if field.name not in columns]
                )

    if not _projections(cluster, table):
        return
    try:
        _run_step(cluster, step)
    except Unavailable as error:
        logger.warning("table %s has no projections, looking rows up will be slow: %s", table.name, error)


def _read_revisions(cluster: Cluster, tx: Transaction) -> set[str]:
    schema = _schema(cluster.address, tx)
    table = None if schema is None else schema.table(VERSIONS.name, fail_if_missing=False)
    if table is None:
        return set()
    table.reload_schema()
    table.reload_stats()
    return set(table.select(["revision"]).read_all()["revision"].to_pylist())


def _store_mode(cluster: Cluster, *, change: bool) -> bool:
    """Store the concurrency mode, and the stripes if it needs them. Return True if the mode was another one before."""
    mode = cluster.address.concurrency
    with cluster.committed() as transaction:
        rows = transaction.rows(LOCKS, LOCK_COLUMNS, [equal("key", MODE_KEY)], row_ids=True)
        other_modes = stored_modes(rows) - {mode} if rows or _has_states(transaction) else set()
        if other_modes and not change:
            raise Unavailable(wrong_mode_message(stored_modes(rows), mode))
        added = [] if rows and not other_modes else [lock_row(MODE_KEY, MODE, mode, 0)]
        if mode == STRIPES:
            existing = {row["key"] for row in transaction.rows(LOCKS, ("key",), [equal("kind", STRIPE)])}
            added += missing_stripes(existing)
        if other_modes:
            transaction.delete(LOCKS, [row[ROW_ID] for row in rows])
        if added:
            transaction.insert(LOCKS, added)
    return bool(other_modes)


def _has_states(snapshot: ClusterTransaction) -> bool:
    """Return whether anything was written under claims."""
    return bool(snapshot.rows(LOCKS, ("key",), [equal("kind", STATE)], 1))


def _record_revision(cluster: Cluster) -> None:
    """Record the version of the schema. Recording it twice is harmless: the highest version counts."""
    with cluster.committed() as transaction:
        transaction.insert(VERSIONS, [{"revision": REVISION, "at": now()}])
