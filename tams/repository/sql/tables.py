"""The tables. Times of media are in nanoseconds, times of the clock in microseconds; documents are JSON texts.

Texts are compared by code point on every engine: SQLite compares the bytes of UTF-8, and columns on PostgreSQL have
`COLLATE "C"`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISION = "0004"
"""The schema that this code needs: the revision of the newest migration."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

INTEGER = BigInteger().with_variant(Integer(), "sqlite")
TEXT = Text().with_variant(Text(collation="C"), "postgresql")

# Tables of narrow rows have no row ids on SQLite: their primary key is the table. Tables with documents have row ids.

sources = Table(
    "sources",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("document", Text, nullable=False),
    Column("created", INTEGER, nullable=False),
    Column("updated", INTEGER, nullable=False),
    Column("implicit", Boolean, nullable=False),
    Column("collection", Text, nullable=False),
    Column("collected_by", Text, nullable=False),
    Column("by_created", TEXT, nullable=False, unique=True),
    Column("by_updated", TEXT, nullable=False, unique=True),
    Column("by_label", TEXT, nullable=False, unique=True),
)

# The facets of each Source as digests (see `facets`), beside its sort texts: a filtered page is one index range.
source_facets = Table(
    "source_facets",
    metadata,
    Column("source_id", TEXT, ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
    Column("facet", LargeBinary, primary_key=True),
    Column("by_created", TEXT, nullable=False),
    Column("by_updated", TEXT, nullable=False),
    Column("by_label", TEXT, nullable=False),
    Index(None, "facet", "by_created"),
    Index(None, "facet", "by_updated"),
    Index(None, "facet", "by_label"),
    sqlite_with_rowid=False,
)

# Foreign keys to collectors are checked at commit, because a collector and its members are written one after the other.
source_collectors = Table(
    "source_collectors",
    metadata,
    Column("source_id", TEXT, ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "collector_id",
        TEXT,
        ForeignKey("sources.id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
        index=True,
    ),
    sqlite_with_rowid=False,
)

# One row for each time that a Flow was created. It outlives the Flow while a deletion removes the Segments. It is
# small, and registering a Segment changes it rather than the row with the Flow's document.
flow_keys = Table(
    "flow_keys",
    metadata,
    Column("key", INTEGER, primary_key=True, autoincrement=False),
    Column("segment_count", INTEGER, nullable=False),
    Column("init_count", INTEGER, nullable=False),
    Column("segments_updated", INTEGER),
    CheckConstraint("init_count >= 0 AND segment_count >= init_count", "counts"),
)

flows = Table(
    "flows",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("key", INTEGER, ForeignKey("flow_keys.key"), nullable=False, unique=True),
    Column("source_id", TEXT, ForeignKey("sources.id"), nullable=False, index=True),
    Column("document", Text, nullable=False),
    Column("created", INTEGER, nullable=False),
    Column("metadata_updated", INTEGER, nullable=False),
    Column("collected_by", Text, nullable=False),
    Column("by_created", TEXT, nullable=False, unique=True),
    Column("by_metadata_updated", TEXT, nullable=False, unique=True),
    Column("by_label", TEXT, nullable=False, unique=True),
)

flow_facets = Table(
    "flow_facets",
    metadata,
    Column("flow_id", TEXT, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column("facet", LargeBinary, primary_key=True),
    Column("by_created", TEXT, nullable=False),
    Column("by_metadata_updated", TEXT, nullable=False),
    Column("by_label", TEXT, nullable=False),
    Index(None, "facet", "by_created"),
    Index(None, "facet", "by_metadata_updated"),
    Index(None, "facet", "by_label"),
    sqlite_with_rowid=False,
)

flow_collectors = Table(
    "flow_collectors",
    metadata,
    Column("flow_id", TEXT, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "collector_id",
        TEXT,
        ForeignKey("flows.id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
        index=True,
    ),
    sqlite_with_rowid=False,
)

# `allocated_to` is no foreign key, because the Flow key may be forgotten before the allocation is removed. Neither is
# `first_flow_id`, because the Flow may be deleted.
objects = Table(
    "objects",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("created", INTEGER, nullable=False),
    Column("allocated_to", INTEGER),
    Column("content_type", Text),
    Column("kind", Text),
    Column("registered", INTEGER),
    Column("start_ns", INTEGER),
    Column("end_ns", INTEGER),
    Column("closed", Boolean),
    Column("key_frame_count", INTEGER),
    Column("init_object_id", TEXT, ForeignKey("objects.id")),
    Column("first_flow_id", Text),
    CheckConstraint("kind IN ('media', 'init')", "kind"),
    CheckConstraint("(kind IS NULL) = (registered IS NULL)", "registration"),
    CheckConstraint("end_ns > start_ns", "timerange"),
    sqlite_with_rowid=False,
)
Index(
    "ix_objects_init_object_id",
    objects.c.init_object_id,
    sqlite_where=text("init_object_id IS NOT NULL"),
    postgresql_where=text("init_object_id IS NOT NULL"),
)
Index(
    "ix_objects_unregistered",
    objects.c.created,
    objects.c.id,
    sqlite_where=text("registered IS NULL"),
    postgresql_where=text("registered IS NULL"),
)

object_instances = Table(
    "object_instances",
    metadata,
    Column("object_id", TEXT, ForeignKey("objects.id", ondelete="CASCADE"), primary_key=True),
    Column("position", INTEGER, primary_key=True),
    Column("storage_id", TEXT),
    Column("storage_key", TEXT),
    Column("put_until", INTEGER, nullable=False),
    Column("url", Text),
    Column("label", TEXT),
    Column("ready", Boolean, nullable=False),
    CheckConstraint("(storage_id IS NULL) = (storage_key IS NULL)", "storage"),
    CheckConstraint("storage_key IS NOT NULL OR url IS NOT NULL", "place"),
    UniqueConstraint("storage_id", "storage_key"),
    sqlite_with_rowid=False,
)
for _column in ("storage_id", "label"):
    Index(
        f"uq_object_instances_object_id_{_column}",
        object_instances.c.object_id,
        object_instances.c[_column],
        unique=True,
        sqlite_where=text(f"{_column} IS NOT NULL"),
        postgresql_where=text(f"{_column} IS NOT NULL"),
    )

# Segments of a Flow never overlap, so the primary key orders starts and ends alike: every query by time is one range of
# it.
segments = Table(
    "segments",
    metadata,
    Column("flow_key", INTEGER, ForeignKey("flow_keys.key"), primary_key=True, autoincrement=False),
    Column("start_ns", INTEGER, primary_key=True, autoincrement=False),
    Column("end_ns", INTEGER, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("object_id", TEXT, ForeignKey("objects.id"), nullable=False),
    Column("ts_offset", INTEGER),
    Column("last_duration", INTEGER),
    Column("sample_offset", INTEGER),
    Column("sample_count", INTEGER),
    Column("object_start", INTEGER, nullable=False),
    Column("object_end", INTEGER, nullable=False),
    Column("object_closed", Boolean, nullable=False),
    Column("key_frame_count", INTEGER),
    Column("init_object_id", TEXT, ForeignKey("objects.id")),
    Column("registered", INTEGER, nullable=False),
    CheckConstraint("end_ns > start_ns", "timerange"),
    Index(None, "object_id", "flow_key", "start_ns"),
    sqlite_with_rowid=False,
)
Index(
    "ix_segments_init_object_id_flow_key_start_ns",
    segments.c.init_object_id,
    segments.c.flow_key,
    segments.c.start_ns,
    sqlite_where=text("init_object_id IS NOT NULL"),
    postgresql_where=text("init_object_id IS NOT NULL"),
)

documents = Table(
    "documents",
    metadata,
    Column("kind", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("body", Text, nullable=False),
    Column("listed_by", Text, nullable=False),
    Column("tags", Text, nullable=False, server_default="{}"),
)

# For each facet of a document, and for the facet that all documents have, a row for each key that listings can be
# ordered by: a filtered page is one index range.
document_keys = Table(
    "document_keys",
    metadata,
    Column("kind", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("facet", LargeBinary, primary_key=True),
    Column("name", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
    ForeignKeyConstraint(["kind", "id"], ["documents.kind", "documents.id"], ondelete="CASCADE"),
    Index(None, "kind", "facet", "name", "value"),
    sqlite_with_rowid=False,
)

# Events that were not yet distributed to webhooks, in the order of the primary key. `event` is the JSON text.
outbox = Table(
    "outbox",
    metadata,
    Column("created", INTEGER, primary_key=True, autoincrement=False),
    Column("position", INTEGER, primary_key=True, autoincrement=False),
    Column("id", TEXT, primary_key=True),
    Column("event", Text, nullable=False),
)

# Events that wait for a webhook. Its document may be deleted before them: deliveries are removed in batches.
deliveries = Table(
    "deliveries",
    metadata,
    Column("webhook_id", TEXT, primary_key=True),
    Column("sequence", INTEGER, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
)

# `available` is the end of the lease while a job is leased, and the due time otherwise.
jobs = Table(
    "jobs",
    metadata,
    Column("kind", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    Column("payload", Text, nullable=False),
    Column("due", INTEGER, nullable=False),
    Column("available", INTEGER, nullable=False),
    Column("attempts", INTEGER, nullable=False),
    Column("worker", Text),
    Index(None, "kind", "available", "key"),
)

# The writes that were committed, on engines whose connection can be lost between a commit and its answer (PostgreSQL).
operations = Table(
    "operations",
    metadata,
    Column("op", TEXT, primary_key=True),
    Column("at", INTEGER, nullable=False, index=True),
)

# One row: the revision of the schema, and the oldest `REVISION` whose code can work with it (see `compatibility`).
schema_reach = Table(
    "schema_reach", metadata, Column("revision", TEXT, primary_key=True), Column("serves", TEXT, nullable=False)
)
