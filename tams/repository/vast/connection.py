"""The way to the cluster: a session for each process, tables whose metadata are loaded once, and open transactions."""

from __future__ import annotations

import functools
import io
import logging
import operator
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import vastdb
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from vastdb import errors
from vastdb.config import BackoffConfig, QueryConfig
from vastdb.session import Session
from vastdb.table import TableInTransaction
from vastdb.table_metadata import TableMetadata, TableRef
from vastdb.transaction import Transaction

from tams.domain.errors import Unavailable
from tams.repository.vast.failures import Broken, translated
from tams.repository.vast.predicates import Term
from tams.repository.vast.tables import Row, Table

logger = logging.getLogger(__name__)

T = TypeVar("T")

ROW_ID = "$row_id"
_MOST_BYTES = 3_500_000
"""Of one request that writes; a cluster takes 5 MiB."""
_MOST_VALUES = 5000
"""Of one `in`; a request holds about 30,000."""

# Only for what may be asked twice: beginning, and reading in a snapshot.
_again = Retrying(
    retry=retry_if_exception_type(Broken),
    wait=wait_random_exponential(multiplier=0.02, max=0.5),
    stop=stop_after_attempt(3),
    reraise=True,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is, and how long to wait for it (seconds).

    `claim_timeout`: how long somebody else's claim may stand in the way before it is taken over. `concurrency`: how
    changes are kept apart, see `concurrency`.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    schema: str
    ssl_verify: bool = True
    request_timeout: float = 5
    operation_timeout: float = 30
    claim_timeout: float = 10
    concurrency: str = "claims"


class Cluster:
    """One database, from any thread of any process. Nothing is connected until it is needed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.RLock()
        self._pid = 0
        self._session: Session | None = None
        self._tables: dict[str, TableMetadata] = {}

    def session(self) -> Session:
        """The session of this process: a forked one does not share its parent's connections."""
        with self._lock:
            if self._session is None or self._pid != os.getpid():
                self._session, self._pid, self._tables = self._connected(), os.getpid(), {}
            return self._session

    def begin(self) -> Snapshot:
        """A new transaction. It sees what is committed by now."""

        def begun() -> Transaction:
            session = self.session()
            with translated():
                transaction: Transaction = session.transaction()
                # Not as a context manager: what becomes of a commit is looked into more closely than it does.
                transaction.txid = int(session.api.begin_transaction().headers["tabular-txid"])
            return transaction

        return Snapshot(self, _again(begun))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A new transaction to read in, which is let go of at the end."""
        snapshot = self.begin()
        try:
            yield snapshot
        finally:
            snapshot.roll_back()

    @contextmanager
    def committed(self) -> Iterator[Snapshot]:
        """A new transaction that is committed at the end, and let go of where anything is raised.

        After a commit that was not answered, too: what is left open would stand in the way of the next attempt.
        """
        snapshot = self.begin()
        try:
            yield snapshot
            snapshot.commit()
        except BaseException:
            snapshot.roll_back()
            raise

    def metadata(self, table: Table, transaction: Transaction) -> TableMetadata:
        """The SDK's description of a table, loaded once."""
        found = self._tables.get(table.name)
        if found is None:
            found = TableMetadata(TableRef(self.address.bucket, self.address.schema, table.name))
            with translated():
                found.load(transaction)
            self._tables[table.name] = found
        return found

    def roll_back(self, txid: int) -> bool:
        """End a transaction of anybody's. True once it can never be committed any more, or has been already."""
        try:
            self.ask_to_roll_back(txid)
        except Unavailable as error:
            return isinstance(error.__cause__, errors.NotFound)
        return True

    def is_gone(self, txid: int) -> bool:
        """The same, and True only where the cluster says that there is no such open transaction."""
        try:
            self.ask_to_roll_back(txid)
        except Unavailable as error:
            return isinstance(error.__cause__, errors.NotFound)
        return False

    def ask_to_roll_back(self, txid: int) -> None:
        """The same, and what is answered is raised."""
        with translated():
            self.session().api.rollback_transaction(txid)

    def forget(self) -> None:
        """Load everything anew at the next use."""
        with self._lock:
            if self._session is not None and self._pid == os.getpid():
                self._session.api.__exit__()
            self._session, self._tables = None, {}

    def _connected(self) -> Session:
        address = self.address
        with translated():
            session: Session = vastdb.connect(
                endpoint=address.endpoint,
                access=address.access_key,
                secret=address.secret_key,
                ssl_verify=address.ssl_verify,
                timeout=address.request_timeout,
                # The SDK would repeat a commit for a minute, and nobody would know which one counted.
                backoff_config=BackoffConfig(max_tries=1),
            )
        _read_environment_once(session.api)
        api, query = session.api, session.api.query_data
        # A query goes to the endpoint that the session is for: over its connections, not over one made for the query.
        api.with_endpoint = lambda _endpoint: api

        def query_data(*arguments: Any, **options: Any) -> Any:
            # An answer is read whole: in the SDK's many small steps it takes far longer, and a reader that stops early
            # would lose the connection.
            response = query(*arguments, **options)
            response.raw = io.BytesIO(response.raw.read())
            return response

        api.query_data = query_data
        return session


class Snapshot:
    """An open transaction: what it sees is of one moment, besides its own writes."""

    def __init__(self, cluster: Cluster, transaction: Transaction) -> None:
        self._cluster = cluster
        self.transaction = transaction
        self._query = QueryConfig(num_splits=1, num_sub_splits=1, data_endpoints=[cluster.address.endpoint])
        self._row_ids: dict[str, pa.DataType] = {}
        self.txid: int = transaction.active_txid

    @property
    def address(self) -> Address:
        """Where its cluster is."""
        return self._cluster.address

    def session(self) -> Session:
        """The session of its cluster."""
        return self._cluster.session()

    def rows(
        self,
        table: Table,
        columns: Sequence[str],
        terms: Sequence[Term],
        limit: int | None = None,
        *,
        row_ids: bool = False,
    ) -> list[Row]:
        """Rows that fulfil the terms, in no order; any `limit` of them."""
        rows: list[Row] = []
        for batch in self._all(table, columns, terms, limit, row_ids):
            rows += batch.to_pylist()
        return rows if limit is None else rows[:limit]

    def collect(
        self,
        table: Table,
        columns: Sequence[str],
        terms: Sequence[Term],
        keep: Callable[[T, pa.RecordBatch], T],
        start: T,
    ) -> T:
        """Fold all rows that fulfil the terms, batch by batch."""

        def folded() -> T:
            value = start
            for batch in self._batches(table, columns, terms, None, row_ids=False):
                value = keep(value, batch)
            return value

        return _again(folded)

    def insert(self, table: Table, rows: Sequence[Row]) -> list[Any]:
        """Store new rows; their row ids."""
        opened, ids = self._table(table), []
        for batch in _in_requests(_batch(table.columns, rows)):
            with translated():
                inserted = opened.insert(batch)
                self._row_ids[table.name] = inserted.type
                ids += inserted.to_pylist()
        return ids

    def update(self, table: Table, rows: Sequence[tuple[Any, Row]]) -> None:
        """Store rows anew, whose ids were read in this transaction or an earlier one."""
        kept = [field for field in table.columns if field.name not in table.sorting]
        batch = _batch(pa.schema(kept), [row for _, row in rows])
        batch = batch.append_column(ROW_ID, self._ids(table, [row_id for row_id, _ in rows]))
        opened = self._table(table)
        for part in _in_requests(batch):
            with translated():
                opened.update(part, [field.name for field in kept])

    def delete(self, table: Table, row_ids: Sequence[Any]) -> None:
        """Remove rows."""
        opened = self._table(table)
        with translated():
            opened.delete(pa.record_batch([self._ids(table, row_ids)], [ROW_ID]))

    def commit(self) -> None:
        """Store everything. Whatever is raised, the outcome is unknown until it is looked into."""
        with translated():
            self._cluster.session().api.commit_transaction(self.txid)

    def roll_back(self) -> None:
        """Let go of everything, as far as the cluster hears it."""
        if not self._cluster.roll_back(self.txid):
            logger.debug("transaction %s was left to end by itself", self.txid)

    def _all(
        self, table: Table, columns: Sequence[str], terms: Sequence[Term], limit: int | None, row_ids: bool
    ) -> Iterator[pa.RecordBatch]:
        for part in _sendable(terms):
            yield from _again(lambda part=part: list(self._batches(table, columns, part, limit, row_ids=row_ids)))

    def _batches(
        self, table: Table, columns: Sequence[str], terms: Sequence[Term], limit: int | None, *, row_ids: bool
    ) -> Iterator[pa.RecordBatch]:
        opened = self._table(table)
        missing = 0 if limit is None else limit
        rest = [term for term in terms if not term.sent]
        # What is evaluated here cannot be counted there.
        asked = None if rest else limit
        # The SDK appends to the list that it is given.
        names = list(dict.fromkeys([*columns, *(term.column for term in rest)]))
        iterator: Any = None
        with translated():
            sent = [term.expression(opened) for term in terms if term.sent]
            predicate = functools.reduce(operator.and_, sent) if sent else None
            iterator = opened.select_splits(names, predicate, self._query, internal_row_id=row_ids, limit_rows=asked)[0]
        while True:
            with translated():
                batch = next(iterator, None)
            if batch is None:
                return
            if row_ids:
                self._row_ids[table.name] = batch.schema.field(ROW_ID).type
            for term in rest:
                batch = batch.filter(term.mask(batch))
            yield batch
            missing -= batch.num_rows
            if limit is not None and missing <= 0:
                return

    def _table(self, table: Table) -> TableInTransaction:
        metadata = self._cluster.metadata(table, self.transaction)
        # `table_from_metadata` would copy the metadata for each query.
        return TableInTransaction(metadata, self.transaction, self.transaction._session_context)

    def _ids(self, table: Table, row_ids: Sequence[Any]) -> pa.Array:
        kind = self._row_ids.get(table.name)
        if kind is None:
            # Rows of an earlier transaction: the kind depends on whether the table is sorted.
            kind = pa.uint64() if not table.sorting else pa.decimal128(38, 0)
        return pa.array(row_ids, type=kind)


def _read_environment_once(api: Any) -> None:
    """Proxies and certificates as the environment says, without looking there for each request."""
    url = api.endpoints[0]
    http = api._session_get_or_create(url)
    found = http.merge_environment_settings(str(url), {}, None, None, None)
    http.proxies, http.verify, http.trust_env = found["proxies"], found["verify"], False


def _sendable(terms: Sequence[Term]) -> list[list[Term]]:
    """The terms, once for each part of an `in` that is too long for a request; none where nothing can match."""
    for position, term in enumerate(terms):
        if term.operator == "in":
            values = sorted(term.value)
            parts = [values[start : start + _MOST_VALUES] for start in range(0, len(values), _MOST_VALUES)]
            if len(parts) != 1:
                others = [*terms[:position], *terms[position + 1 :]]
                return [[*others, Term(term.column, "in", part)] for part in parts]
    return [list(terms)]


def _batch(schema: pa.Schema, rows: Sequence[Row]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([row[field.name] for row in rows], field.type) for field in schema], schema=schema)


def _in_requests(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    parts = -(-batch.nbytes // _MOST_BYTES) or 1
    size = -(-batch.num_rows // parts)
    if parts == 1 or size <= 1:
        yield batch
        return
    for start in range(0, batch.num_rows, size):
        part = batch.slice(start, size)
        if part.nbytes > _MOST_BYTES:
            yield from _in_requests(part)
        else:
            yield part
