"""The place where a probe writes: a schema of a random name, three tables, sessions. It is removed whatever happens."""

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
_REMOVAL = 20.0
PATIENCE = 10.0
"""Seconds until what was committed is seen by everybody, or the check fails."""
_MOST_ADDRESSES = 8


class NotRemoved(Exception):
    """The schema of a probe is still there. `str(error)` says which, and why."""


class Scratch:
    """Two sessions and the tables. `sorts` is None, or why there is no sorted table."""

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
        """The schema."""
        return self.here.address.schema

    def make(self) -> None:
        """The schema and the tables. `Unavailable` where the cluster is not there or does not let the user do that."""
        address = self.here.address
        with self.here.committed() as made, translated():
            # From here on it may be there, even if the cluster does not say so.
            self._touched = True
            schema = made.transaction.bucket(address.bucket).create_schema(address.schema)
            for table in (PLAIN, OTHER):
                schema.create_table(table.name, table.columns)
        for cluster in (self.here, self.there):
            _patiently(cluster, PLAIN)
        try:
            with self.here.committed() as made, translated():
                made.transaction.bucket(address.bucket).schema(address.schema).create_table(
                    SORTED.name, SORTED.columns, sorting_key=list(SORTED.sorting)
                )
        except Unavailable as error:
            self.refused_sorting = answer_of(error)
            return
        for cluster in (self.here, self.there):
            _patiently(cluster, SORTED)

    def remove(self) -> None:
        """Drop all of it. `NotRemoved` where that fails for too long."""
        if not self._touched:
            return
        until, address = time.monotonic() + self._removal, self.there.address
        while True:
            try:
                with self.there.committed() as gone, translated():
                    schema = gone.transaction.bucket(address.bucket).schema(address.schema, fail_if_missing=False)
                    if schema is not None:
                        for table in schema.tables():
                            table.drop()
                        schema.drop()
            except Unavailable as error:
                if time.monotonic() > until:
                    raise NotRemoved(
                        f"The schema {address.schema} of this probe is still in bucket {address.bucket}: remove it. "
                        f"{error}"
                    ) from error
                time.sleep(0.3)
            else:
                return

    def close(self) -> None:
        """Let go of the connections."""
        self.here.forget()
        self.there.forget()

    def addresses(self) -> list[str]:
        """URLs of the addresses that the cluster says it has, some of them where there are many."""
        address = self.here.address
        with self.here.snapshot() as snapshot, translated():
            stats = self.here.session().api.get_table_stats(address.bucket, address.schema, PLAIN.name, snapshot.txid)
        parts = urlsplit(address.endpoint)
        port = f":{parts.port}" if parts.port else ""
        return [f"{parts.scheme}://{vip}{port}" for vip in stats.vips[:_MOST_ADDRESSES]]

    def elsewhere(self, endpoint: str) -> Cluster:
        """A session with another address of the cluster."""
        return Cluster(replace(self.here.address, endpoint=endpoint))

    def store(self, table: Table, *rows: tuple[str, int]) -> None:
        """Commit rows of these names and numbers, and wait until both sessions see them."""
        with self.here.committed() as snapshot:
            insert(snapshot, table, *rows)
        for cluster in (self.here, self.there):
            until = time.monotonic() + PATIENCE
            while not {name for name, _ in rows} <= _looked_at(cluster, table).keys():
                if time.monotonic() > until:
                    raise Unavailable(f"a commit was not seen for {PATIENCE:.0f} s")
                time.sleep(0.02)

    def stored(self, table: Table) -> dict[str, int]:
        """Names and numbers of all that is committed by now."""
        # Once this is seen, everything is that was committed before it.
        self.store(table, (f"marker {next(self._markers)}", 0))
        return _looked_at(self.there, table)


@contextmanager
def scratch(address: Address, idle_seconds: float, removal: float = _REMOVAL) -> Iterator[Scratch]:
    """A place to probe in. `NotRemoved` where it could not be removed for `removal` seconds."""
    place = Scratch(replace(address, schema=f"tams_probe_{new_id().replace('-', '')[:12]}"), idle_seconds, removal)
    try:
        try:
            place.make()
            yield place
        finally:
            place.remove()
    finally:
        place.close()


def _looked_at(cluster: Cluster, table: Table) -> dict[str, int]:
    with cluster.snapshot() as snapshot:
        return seen(snapshot, table)


def _patiently(cluster: Cluster, table: Table) -> None:
    """Wait until a table that was made is there, which may be later for others."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            _looked_at(cluster, table)
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def insert(snapshot: ClusterTransaction, table: Table, *rows: tuple[str, int]) -> None:
    """Insert rows of these names and numbers."""
    snapshot.insert(table, [{"name": name, "number": number, "text": ""} for name, number in rows])


def seen(snapshot: ClusterTransaction, table: Table) -> dict[str, int]:
    """Names and numbers of what a transaction sees."""
    return {row["name"]: row["number"] for row in snapshot.rows(table, ("name", "number"), [])}


def found(snapshot: ClusterTransaction, table: Table, name: str) -> Row:
    """The row of a name, with its id."""
    rows = snapshot.rows(table, table.columns.names, [equal("name", name)], row_ids=True)
    if len(rows) != 1:
        raise Unavailable(f"the cluster shows {len(rows)} rows where one was stored")
    return rows[0]


def set_number(snapshot: ClusterTransaction, table: Table, row: Row, number: int) -> None:
    """Update a row that was found."""
    snapshot.update(table, [(row[ROW_ID], {**row, "number": number})])


def insert_as_it_is(snapshot: ClusterTransaction, table: Table, texts: Sequence[str]) -> None:
    """Insert in one request, however large."""
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
    """What the cluster answered, as status and code; or what became of the connection."""
    cause = error.__cause__
    if isinstance(cause, errors.HttpError):
        return f"{cause.status} {cause.code}"
    status = status_of(error)
    return type(cause or error).__name__ if status is None else str(status)


def status_of(error: BaseException) -> int | None:
    """The status of the answer, if there was one."""
    cause = error.__cause__
    if isinstance(cause, errors.HttpError):
        return int(cause.status)
    # The SDK has a type for some statuses only.
    unknown = _UNKNOWN_STATUS.match(str(cause))
    return None if unknown is None else int(unknown[1])
