"""The tables.

Media times are in nanoseconds, wall clock times in microseconds, and documents are JSON text. Everything that one call
reads is in one row. If the cluster can sort, rows are sorted by the columns that they are looked up by. Locks are not
sorted: a table is sorted in the background, so that the latest writes are the slowest to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

REVISION = "1"
"""The version of the schema that this code needs."""

Row: TypeAlias = dict[str, Any]
RowKey: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table. Columns of the sorting key are never updated.

    `key`: the columns that identify a row. `lookups`: columns with a projection, for lookups that `sorting` does not
    serve.
    """

    name: str
    columns: pa.Schema
    key: tuple[str, ...]
    sorting: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()

    def key_of(self, row: Row) -> RowKey:
        """Return the values that identify a row."""
        return tuple([row[name] for name in self.key])


def _columns(**kinds: pa.DataType) -> pa.Schema:
    return pa.schema(list(kinds.items()))


_TEXT, _INT, _BOOL = pa.utf8(), pa.int64(), pa.bool_()

SOURCES = Table(
    "sources",
    _columns(
        id=_TEXT,
        document=_TEXT,
        created=_INT,
        updated=_INT,
        implicit=_BOOL,
        collection=_TEXT,
        collected_by=_TEXT,
        facets=_TEXT,
        by_created=_TEXT,
        by_updated=_TEXT,
        by_label=_TEXT,
    ),
    key=("id",),
    sorting=("id",),
)

# A detached Flow keeps its row until its key is forgotten, because the row counts its Segments.
FLOWS = Table(
    "flows",
    _columns(
        key=_INT,
        id=_TEXT,
        detached=_BOOL,
        source_id=_TEXT,
        document=_TEXT,
        created=_INT,
        metadata_updated=_INT,
        collected_by=_TEXT,
        facets=_TEXT,
        by_created=_TEXT,
        by_metadata_updated=_TEXT,
        by_label=_TEXT,
        segments_updated=_INT,
        segment_count=_INT,
        init_count=_INT,
        first_start=_INT,
        last_end=_INT,
        last_closed=_BOOL,
        longest=_INT,
        sketch=_TEXT,
    ),
    key=("key",),
    sorting=("id",),
    lookups=("key", "source_id"),
)

SEGMENTS = Table(
    "segments",
    _columns(
        flow_key=_INT,
        start_ns=_INT,
        end_ns=_INT,
        closed=_BOOL,
        object_id=_TEXT,
        ts_offset=_INT,
        last_duration=_INT,
        sample_offset=_INT,
        sample_count=_INT,
        object_start=_INT,
        object_end=_INT,
        object_closed=_BOOL,
        key_frame_count=_INT,
        init_object_id=_TEXT,
        registered=_INT,
    ),
    key=("flow_key", "start_ns"),
    sorting=("flow_key", "start_ns"),
    lookups=("object_id", "init_object_id"),
)

OBJECTS = Table(
    "objects",
    _columns(
        id=_TEXT,
        created=_INT,
        allocated_to=_INT,
        content_type=_TEXT,
        kind=_TEXT,
        registered=_INT,
        start_ns=_INT,
        end_ns=_INT,
        closed=_BOOL,
        key_frame_count=_INT,
        init_object_id=_TEXT,
        first_flow_id=_TEXT,
        instances=_TEXT,
    ),
    key=("id",),
    sorting=("id",),
    lookups=("init_object_id",),
)

# The Object that owns each storage key. A key is never used twice in one Storage Backend.
STORAGE_KEYS = Table(
    "storage_keys",
    _columns(storage_id=_TEXT, storage_key=_TEXT, object_id=_TEXT),
    key=("storage_id", "storage_key"),
    sorting=("storage_id", "storage_key"),
)

DOCUMENTS = Table(
    "documents",
    _columns(kind=_TEXT, id=_TEXT, body=_TEXT, listed_by=_TEXT, tags=_TEXT, facets=_TEXT),
    key=("kind", "id"),
    sorting=("kind", "id"),
)

JOBS = Table(
    "jobs",
    _columns(kind=_TEXT, key=_TEXT, payload=_TEXT, due=_INT, available=_INT, attempts=_INT, worker=_TEXT),
    key=("kind", "key"),
    sorting=("kind", "key"),
)

# `place` sorts like the events.
OUTBOX = Table("outbox", _columns(place=_TEXT, event=_TEXT), key=("place",), sorting=("place",))

DELIVERIES = Table(
    "deliveries",
    _columns(webhook_id=_TEXT, sequence=_INT, event=_TEXT),
    key=("webhook_id", "sequence"),
    sorting=("webhook_id", "sequence"),
)

# See the package `concurrency`. `at` is only for pruning.
LOCKS = Table(
    "locks", _columns(key=_TEXT, kind=_TEXT, op=_TEXT, txid=_TEXT, at=_INT), key=("key", "kind", "op", "txid")
)

TABLES = (SOURCES, FLOWS, SEGMENTS, OBJECTS, STORAGE_KEYS, DOCUMENTS, JOBS, OUTBOX, DELIVERIES, LOCKS)

VERSIONS = Table("schema_versions", _columns(revision=_TEXT, at=_INT), key=("revision",))
"""The version of the schema that the tables have. A migration writes it last."""
