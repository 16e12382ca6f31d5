"""The scratch schema that a probe writes to: a random name, three tables, two sessions. It is removed in any case."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed
from vastdb import errors, util

from tams.domain.errors import Unavailable
from tams.domain.identifiers import new_id
from tams.repository.vast.cluster_transaction import ROW_ID, ClusterTransaction
from tams.repository.vast.connection import Cluster
from tams.repository.vast.failures import translated
from tams.repository.vast.predicates import equal
from tams.repository.vast.sessions import Address
from tams.repository.vast.tables import Row, Table

logger = logging.getLogger(__name__)

_COLUMNS = pa.schema([("name", pa.utf8()), ("number", pa.int64()), ("text", pa.utf8())])
PLAIN = Table("plain", _COLUMNS, key=("name",))
OTHER = Table("other", _COLUMNS, key=("name",))
SORTED = Table("sorted", _COLUMNS, key=("name",), sorting=("name",))
_UNKNOWN_STATUS = re.compile(r"(\d{3}) is not a valid HttpStatus")
_REMOVAL_SECONDS = 20.0
PATIENCE = 10.0
"""Seconds for a commit to become visible in every session. After that the check fails."""
_MAX_ADDRESSES = 8


class NotRemoved(Exception):
    """The schema of a probe could not be removed. The message names it and gives the reason."""


class Scratch:
    """The scratch schema with its tables, and two sessions: `here` and `there`.

    `refused_sorting` is the reason why there is no sorted table, or None if there is one.
    """

    def __init__(self, address: Address, idle_seconds: float, removal: float) -> None:
        self._removal = removal
        self.idle_seconds = idle_seconds
        self.here = Cluster(address)
        self.there = Cluster(address)
        self.refused_sorting: str | None = None
        self._markers = itertools.count()
        self._touched = False

    @property
    def name(self) -> str:
        """The name of the schema."""
        return self.here.address.schema

    def make(self) -> None:
        """Create the schema and the tables.

        Raises:
            Unavailable: the cluster does not answer, or does not permit it.
        """
        address = self.here.address
        with self.here.committed() as transaction, translated():
            # From here on the schema may exist, even if the cluster reports a failure.
            self._touched = True
            schema = transaction.transaction.bucket(address.bucket).create_schema(address.schema)
            for table in (PLAIN, OTHER):
                schema.create_table(table.name, table.columns)
        for cluster in (self.here, self.there):
            _wait_for_table(cluster, PLAIN)
        try:
            with self.here.committed() as transaction, translated():
                transaction.transaction.bucket(address.bucket).schema(address.schema).create_table(
                    SORTED.name, SORTED.columns, sorting_key=list(SORTED.sorting)
                )
        except Unavailable as error:
            self.refused_sorting = answer_of(error)
            return
        for cluster in (self.here, self.there):
            _wait_for_table(cluster, SORTED)

    def remove(self) -> None:
        """Drop the schema and its tables.

        Raises:
            NotRemoved: that still fails after `removal` seconds.
        """
        if not self._touched:
            return
        address = self.there.address
        retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_fixed(0.3),
            stop=stop_after_delay(self._removal),
            reraise=True,
        )
        try:
            retrying(self._drop)
        except Unavailable as error:
            raise NotRemoved(
                f"The schema {address.schema} of this probe is still in bucket {address.bucket}: remove it. {error}"
            ) from error

    def _drop(self) -> None:
        address = self.there.address
        with self.there.committed() as transaction, translated():
            schema = transaction.transaction.bucket(address.bucket).schema(address.schema, fail_if_missing=False)
            if schema is not None:
                for table in schema.tables():
                    table.drop()
                schema.drop()

    def close(self) -> None:
        """Close the connections."""
        self.here.forget()
        self.there.forget()

    def addresses(self) -> list[str]:
        """Return URLs of the addresses that the cluster reports, at most eight."""
        address = self.here.address
        with self.here.snapshot() as snapshot, translated():
            stats = self.here.session().api.get_table_stats(address.bucket, address.schema, PLAIN.name, snapshot.txid)
        parts = urlsplit(address.endpoint)
        port = f":{parts.port}" if parts.port else ""
        return [f"{parts.scheme}://{vip}{port}" for vip in stats.vips[:_MAX_ADDRESSES]]

    def elsewhere(self, endpoint: str) -> Cluster:
        """Return a session through another address of the cluster."""
        return Cluster(replace(self.here.address, endpoint=endpoint))

    def store(self, table: Table, *rows: tuple[str, int]) -> None:
        """Commit rows with these names and numbers, and wait until both sessions see them."""
        with self.here.committed() as snapshot:
            insert(snapshot, table, *rows)
        for cluster in (self.here, self.there):
            until = time.monotonic() + PATIENCE
            while not {name for name, _ in rows} <= _read_all(cluster, table).keys():
                if time.monotonic() > until:
                    raise Unavailable(f"a commit was not seen for {PATIENCE:.0f} s")
                time.sleep(0.02)

    def stored(self, table: Table) -> dict[str, int]:
        """Return the names and numbers of all rows that are committed by now."""
        # Once this row is visible, so is everything that was committed before it.
        self.store(table, (f"marker {next(self._markers)}", 0))
        return _read_all(self.there, table)


@contextmanager
def scratch(address: Address, idle_seconds: float, removal: float = _REMOVAL_SECONDS) -> Iterator[Scratch]:
    """Create a scratch schema, and remove it at the end.

    Raises:
        Unavailable: the cluster does not answer, or does not permit it.
        NotRemoved: the schema could not be removed within `removal` seconds.
    """
    place = Scratch(replace(address, schema=f"tams_probe_{new_id().replace('-', '')[:12]}"), idle_seconds, removal)
    try:
        try:
            place.make()
            yield place
        finally:
            place.remove()
    finally:
        place.close()


def _read_all(cluster: Cluster, table: Table) -> dict[str, int]:
    with cluster.snapshot() as snapshot:
        return visible_rows(snapshot, table)


def _wait_for_table(cluster: Cluster, table: Table) -> None:
    """Wait until a session sees a new table, which may take longer in other sessions."""
    retrying = Retrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(PATIENCE),
        reraise=True,
    )
    retrying(_read_all, cluster, table)


def insert(snapshot: ClusterTransaction, table: Table, *rows: tuple[str, int]) -> None:
    """Insert rows with these names and numbers."""
    snapshot.insert(table, [{"name": name, "number": number, "text": ""} for name, number in rows])


def visible_rows(snapshot: ClusterTransaction, table: Table) -> dict[str, int]:
    """Return the names and numbers of the rows that a transaction sees."""
    return {row["name"]: row["number"] for row in snapshot.rows(table, ("name", "number"), [])}


def row_named(snapshot: ClusterTransaction, table: Table, name: str) -> Row:
    """Return the row with a name, including its row id."""
    rows = snapshot.rows(table, table.columns.names, [equal("name", name)], row_ids=True)
    if len(rows) != 1:
        raise Unavailable(f"the cluster shows {len(rows)} rows where one was stored")
    return rows[0]


def set_number(snapshot: ClusterTransaction, table: Table, row: Row, number: int) -> None:
    """Update the number of a row that was read with its row id."""
    snapshot.update(table, [(row[ROW_ID], {**row, "number": number})])


def insert_unsplit(snapshot: ClusterTransaction, table: Table, texts: Sequence[str]) -> None:
    """Insert rows in one request, however large it is."""
    rows = [{"name": "large", "number": 0, "text": text} for text in texts]
    batch = pa.record_batch(
        [pa.array([row[field.name] for row in rows], field.type) for field in table.columns], schema=table.columns
    )
    address = snapshot.address
    with translated():
        snapshot.session().api.insert_rows(
            address.bucket, address.schema, table.name, util.serialize_record_batch(batch), snapshot.txid
        )


def answer_of(error: BaseException) -> str:
    """Return the status and code of the cluster's answer, or the type of the error if there was no answer."""
    cause = error.__cause__
    if isinstance(cause, errors.HttpError):
        return f"{cause.status} {cause.code}"
    status = status_of(error)
    return type(cause or error).__name__ if status is None else str(status)


def status_of(error: BaseException) -> int | None:
    """Return the status of the cluster's answer, or None if there was no answer."""
    cause = error.__cause__
    if isinstance(cause, errors.HttpError):
        return int(cause.status)
    # The SDK has types for some statuses only. It puts others into the text of a `ValueError`.
    unknown = _UNKNOWN_STATUS.match(str(cause))
    return None if unknown is None else int(unknown[1])
