"""An open transaction of the cluster: reading, writing, commit and rollback."""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from vastdb.config import QueryConfig
from vastdb.session import Session
from vastdb.table import TableInTransaction
from vastdb.transaction import Transaction

from tams.repository.vast.failures import Broken, translated
from tams.repository.vast.predicates import Predicate
from tams.repository.vast.request_sizes import record_batch, split_batch, split_predicates
from tams.repository.vast.sessions import Address, ClusterSession
from tams.repository.vast.tables import Row, Table

logger = logging.getLogger(__name__)

T = TypeVar("T")

ROW_ID = "$row_id"

retry_reads = Retrying(
    retry=retry_if_exception_type(Broken),
    wait=wait_random_exponential(multiplier=0.02, max=0.5),
    stop=stop_after_attempt(3),
    reraise=True,
)
"""Only for requests that may be repeated safely: to begin a transaction, and to read in a snapshot."""


class ClusterTransaction:
    """An open transaction. It reads one snapshot, and its own writes."""

    def __init__(self, session: ClusterSession, transaction: Transaction) -> None:
        self._session = session
        self.transaction = transaction
        self._query = QueryConfig(num_splits=1, num_sub_splits=1, data_endpoints=[session.address.endpoint])
        self._row_id_types: dict[str, pa.DataType] = {}
        self.txid: int = transaction.active_txid

    @property
    def address(self) -> Address:
        """The location of its cluster."""
        return self._session.address

    def session(self) -> Session:
        """Return the SDK session of its cluster."""
        return self._session.session()

    def rows(
        self,
        table: Table,
        columns: Sequence[str],
        predicates: Sequence[Predicate],
        limit: int | None = None,
        *,
        row_ids: bool = False,
    ) -> list[Row]:
        """Return the rows that match all predicates, in no order.

        With a `limit`, an arbitrary choice of that many. With `row_ids`, each has its row id under `ROW_ID`.
        """
        rows: list[Row] = []
        for batch in self._retried_batches(table, columns, predicates, limit, row_ids):
            rows += batch.to_pylist()
        return rows if limit is None else rows[:limit]

    def fold(
        self,
        table: Table,
        columns: Sequence[str],
        predicates: Sequence[Predicate],
        step: Callable[[T, pa.RecordBatch], T],
        start: T,
    ) -> T:
        """Fold all rows that match the predicates, batch by batch, and return the result.

        A failed request restarts from `start`.
        """

        def fold_once() -> T:
            value = start
            for batch in self._batches(table, columns, predicates, None, row_ids=False):
                value = step(value, batch)
            return value

        return retry_reads(fold_once)

    def insert(self, table: Table, rows: Sequence[Row]) -> list[Any]:
        """Insert rows; return their row ids."""
        handle, ids = self._handle(table), []
        for batch in split_batch(record_batch(table.columns, rows)):
            with translated():
                inserted = handle.insert(batch)
                self._row_id_types[table.name] = inserted.type
                ids += inserted.to_pylist()
        return ids

    def update(self, table: Table, rows: Sequence[tuple[Any, Row]]) -> None:
        """Replace rows, given with the row ids that this transaction or an earlier one read.

        Columns of the sorting key stay as they are, because a cluster cannot update them.
        """
        fields = [field for field in table.columns if field.name not in table.sorting]
        batch = record_batch(pa.schema(fields), [row for _, row in rows])
        batch = batch.append_column(ROW_ID, self._row_id_array(table, [row_id for row_id, _ in rows]))
        handle = self._handle(table)
        for part in split_batch(batch):
            with translated():
                handle.update(part, [field.name for field in fields])

    def delete(self, table: Table, row_ids: Sequence[Any]) -> None:
        """Delete rows."""
        handle = self._handle(table)
        with translated():
            handle.delete(pa.record_batch([self._row_id_array(table, row_ids)], [ROW_ID]))

    def commit(self) -> None:
        """Commit. After any exception the outcome is in doubt until it is looked up."""
        self._session.commit(self.txid)

    def roll_back(self) -> None:
        """Roll back. If the cluster does not confirm that, log it: the transaction ends by the idle timeout."""
        if not self._session.roll_back(self.txid):
            logger.debug("transaction %s was not rolled back: the cluster ends it when it is idle", self.txid)

    def _retried_batches(
        self,
        table: Table,
        columns: Sequence[str],
        predicates: Sequence[Predicate],
        limit: int | None,
        row_ids: bool,
    ) -> Iterator[pa.RecordBatch]:
        for part in split_predicates(predicates):
            yield from retry_reads(lambda part=part: list(self._batches(table, columns, part, limit, row_ids=row_ids)))

    def _batches(
        self,
        table: Table,
        columns: Sequence[str],
        predicates: Sequence[Predicate],
        limit: int | None,
        *,
        row_ids: bool,
    ) -> Iterator[pa.RecordBatch]:
        handle = self._handle(table)
        missing = 0 if limit is None else limit
        local = [predicate for predicate in predicates if not predicate.is_sent]
        # The cluster cannot apply the limit to rows that are filtered here.
        sent_limit = None if local else limit
        # A new list: the SDK appends to the one that it is given.
        names = list(dict.fromkeys([*columns, *(predicate.column for predicate in local)]))
        batches: Any = None
        with translated():
            sent = [predicate.expression(handle) for predicate in predicates if predicate.is_sent]
            expression = functools.reduce(operator.and_, sent) if sent else None
            splits = handle.select_splits(
                names, expression, self._query, internal_row_id=row_ids, limit_rows=sent_limit
            )
            batches = splits[0]
        while True:
            with translated():
                batch = next(batches, None)
            if batch is None:
                return
            if row_ids:
                self._row_id_types[table.name] = batch.schema.field(ROW_ID).type
            for predicate in local:
                batch = batch.filter(predicate.mask(batch))
            yield batch
            missing -= batch.num_rows
            if limit is not None and missing <= 0:
                return

    def _handle(self, table: Table) -> TableInTransaction:
        metadata = self._session.metadata(table, self.transaction)
        # `table_from_metadata` would copy the metadata for each query.
        return TableInTransaction(metadata, self.transaction, self.transaction._session_context)

    def _row_id_array(self, table: Table, row_ids: Sequence[Any]) -> pa.Array:
        row_id_type = self._row_id_types.get(table.name)
        if row_id_type is None:
            # The ids come from an earlier transaction. Their type depends on whether the table is sorted.
            row_id_type = pa.uint64() if not table.sorting else pa.decimal128(38, 0)
        return pa.array(row_ids, type=row_id_type)
