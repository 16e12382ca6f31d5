"""The initial schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "documents",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("listed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_documents"),
    )
    op.create_table(
        "flow_keys",
        sa.Column("key", INTEGER, autoincrement=False, nullable=False),
        sa.Column("segment_count", INTEGER, nullable=False),
        sa.Column("init_count", INTEGER, nullable=False),
        sa.Column("segments_updated", INTEGER, nullable=True),
        sa.CheckConstraint("init_count >= 0 AND segment_count >= init_count", name="ck_flow_keys_counts"),
        sa.PrimaryKeyConstraint("key", name="pk_flow_keys"),
    )
    op.create_table(
        "jobs",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("due", INTEGER, nullable=False),
        sa.Column("available", INTEGER, nullable=False),
        sa.Column("attempts", INTEGER, nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_jobs"),
    )
    op.create_index("ix_jobs_kind_available_key", "jobs", ["kind", "available", "key"], unique=False)
    op.create_table(
        "objects",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("created", INTEGER, nullable=False),
        sa.Column("allocated_to", INTEGER, nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("registered", INTEGER, nullable=True),
        sa.Column("start_ns", INTEGER, nullable=True),
        sa.Column("end_ns", INTEGER, nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=True),
        sa.Column("key_frame_count", INTEGER, nullable=True),
        sa.Column("init_object_id", TEXT, nullable=True),
        sa.Column("first_flow_id", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('media', 'init')", name="ck_objects_kind"),
        sa.CheckConstraint("(kind IS NULL) = (registered IS NULL)", name="ck_objects_registration"),
        sa.CheckConstraint("end_ns > start_ns", name="ck_objects_timerange"),
        sa.ForeignKeyConstraint(["init_object_id"], ["objects.id"], name="fk_objects_init_object_id_objects"),
        sa.PrimaryKeyConstraint("id", name="pk_objects"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_objects_init_object_id",
        "objects",
        ["init_object_id"],
        unique=False,
        sqlite_where=sa.text("init_object_id IS NOT NULL"),
        postgresql_where=sa.text("init_object_id IS NOT NULL"),
    )
    op.create_index(
        "ix_objects_unregistered",
        "objects",
        ["created", "id"],
        unique=False,
        sqlite_where=sa.text("registered IS NULL"),
        postgresql_where=sa.text("registered IS NULL"),
    )
    op.create_table(
        "operations",
        sa.Column("op", TEXT, nullable=False),
        sa.Column("at", INTEGER, nullable=False),
        sa.PrimaryKeyConstraint("op", name="pk_operations"),
    )
    op.create_index("ix_operations_at", "operations", ["at"], unique=False)
    op.create_table(
        "sources",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created", INTEGER, nullable=False),
        sa.Column("updated", INTEGER, nullable=False),
        sa.Column("implicit", sa.Boolean(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("collected_by", sa.Text(), nullable=False),
        sa.Column("by_created", TEXT, nullable=False),
        sa.Column("by_updated", TEXT, nullable=False),
        sa.Column("by_label", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        sa.UniqueConstraint("by_created", name="uq_sources_by_created"),
        sa.UniqueConstraint("by_label", name="uq_sources_by_label"),
        sa.UniqueConstraint("by_updated", name="uq_sources_by_updated"),
    )
    op.create_table(
        "document_keys",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("facet", sa.LargeBinary(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["kind", "id"],
            ["documents.kind", "documents.id"],
            name="fk_document_keys_kind_id_documents",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("kind", "id", "facet", "name", name="pk_document_keys"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_document_keys_kind_facet_name_value",
        "document_keys",
        ["kind", "facet", "name", "value"],
        unique=False,
    )
    op.create_table(
        "flows",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("key", INTEGER, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created", INTEGER, nullable=False),
        sa.Column("metadata_updated", INTEGER, nullable=False),
        sa.Column("collected_by", sa.Text(), nullable=False),
        sa.Column("by_created", TEXT, nullable=False),
        sa.Column("by_metadata_updated", TEXT, nullable=False),
        sa.Column("by_label", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["key"], ["flow_keys.key"], name="fk_flows_key_flow_keys"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_flows_source_id_sources"),
        sa.PrimaryKeyConstraint("id", name="pk_flows"),
        sa.UniqueConstraint("by_created", name="uq_flows_by_created"),
        sa.UniqueConstraint("by_label", name="uq_flows_by_label"),
        sa.UniqueConstraint("by_metadata_updated", name="uq_flows_by_metadata_updated"),
        sa.UniqueConstraint("key", name="uq_flows_key"),
    )
    op.create_index("ix_flows_source_id", "flows", ["source_id"], unique=False)
    op.create_table(
        "object_instances",
        sa.Column("object_id", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("storage_id", TEXT, nullable=True),
        sa.Column("storage_key", TEXT, nullable=True),
        sa.Column("put_until", INTEGER, nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("label", TEXT, nullable=True),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(storage_id IS NULL) = (storage_key IS NULL)", name="ck_object_instances_storage"),
        sa.CheckConstraint("storage_key IS NOT NULL OR url IS NOT NULL", name="ck_object_instances_place"),
        sa.ForeignKeyConstraint(
            ["object_id"], ["objects.id"], name="fk_object_instances_object_id_objects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("object_id", "position", name="pk_object_instances"),
        sa.UniqueConstraint("storage_key", name="uq_object_instances_storage_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_object_instances_object_id_label",
        "object_instances",
        ["object_id", "label"],
        unique=True,
        sqlite_where=sa.text("label IS NOT NULL"),
        postgresql_where=sa.text("label IS NOT NULL"),
    )
    op.create_index(
        "uq_object_instances_object_id_storage_id",
        "object_instances",
        ["object_id", "storage_id"],
        unique=True,
        sqlite_where=sa.text("storage_id IS NOT NULL"),
        postgresql_where=sa.text("storage_id IS NOT NULL"),
    )
    op.create_table(
        "segments",
        sa.Column("flow_key", INTEGER, autoincrement=False, nullable=False),
        sa.Column("start_ns", INTEGER, autoincrement=False, nullable=False),
        sa.Column("end_ns", INTEGER, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("object_id", TEXT, nullable=False),
        sa.Column("ts_offset", INTEGER, nullable=True),
        sa.Column("last_duration", INTEGER, nullable=True),
        sa.Column("sample_offset", INTEGER, nullable=True),
        sa.Column("sample_count", INTEGER, nullable=True),
        sa.Column("object_start", INTEGER, nullable=False),
        sa.Column("object_end", INTEGER, nullable=False),
        sa.Column("object_closed", sa.Boolean(), nullable=False),
        sa.Column("key_frame_count", INTEGER, nullable=True),
        sa.Column("init_object_id", TEXT, nullable=True),
        sa.Column("registered", INTEGER, nullable=False),
        sa.CheckConstraint("end_ns > start_ns", name="ck_segments_timerange"),
        sa.ForeignKeyConstraint(["flow_key"], ["flow_keys.key"], name="fk_segments_flow_key_flow_keys"),
        sa.ForeignKeyConstraint(["init_object_id"], ["objects.id"], name="fk_segments_init_object_id_objects"),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name="fk_segments_object_id_objects"),
        sa.PrimaryKeyConstraint("flow_key", "start_ns", name="pk_segments"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_segments_init_object_id_flow_key_start_ns",
        "segments",
        ["init_object_id", "flow_key", "start_ns"],
        unique=False,
        sqlite_where=sa.text("init_object_id IS NOT NULL"),
        postgresql_where=sa.text("init_object_id IS NOT NULL"),
    )
    op.create_index(
        "ix_segments_object_id_flow_key_start_ns",
        "segments",
        ["object_id", "flow_key", "start_ns"],
        unique=False,
    )
    op.create_table(
        "source_collectors",
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("collector_id", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["collector_id"],
            ["sources.id"],
            name="fk_source_collectors_collector_id_sources",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name="fk_source_collectors_source_id_sources", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source_id", "collector_id", name="pk_source_collectors"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_source_collectors_collector_id", "source_collectors", ["collector_id"], unique=False)
    op.create_table(
        "source_facets",
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("facet", sa.LargeBinary(), nullable=False),
        sa.Column("by_created", TEXT, nullable=False),
        sa.Column("by_updated", TEXT, nullable=False),
        sa.Column("by_label", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name="fk_source_facets_source_id_sources", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source_id", "facet", name="pk_source_facets"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_source_facets_facet_by_created", "source_facets", ["facet", "by_created"], unique=False)
    op.create_index("ix_source_facets_facet_by_label", "source_facets", ["facet", "by_label"], unique=False)
    op.create_index("ix_source_facets_facet_by_updated", "source_facets", ["facet", "by_updated"], unique=False)
    op.create_table(
        "flow_collectors",
        sa.Column("flow_id", TEXT, nullable=False),
        sa.Column("collector_id", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["collector_id"],
            ["flows.id"],
            name="fk_flow_collectors_collector_id_flows",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_flow_collectors_flow_id_flows", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_id", "collector_id", name="pk_flow_collectors"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_flow_collectors_collector_id", "flow_collectors", ["collector_id"], unique=False)
    op.create_table(
        "flow_facets",
        sa.Column("flow_id", TEXT, nullable=False),
        sa.Column("facet", sa.LargeBinary(), nullable=False),
        sa.Column("by_created", TEXT, nullable=False),
        sa.Column("by_metadata_updated", TEXT, nullable=False),
        sa.Column("by_label", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_flow_facets_flow_id_flows", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_id", "facet", name="pk_flow_facets"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_flow_facets_facet_by_created", "flow_facets", ["facet", "by_created"], unique=False)
    op.create_index("ix_flow_facets_facet_by_label", "flow_facets", ["facet", "by_label"], unique=False)
    op.create_index(
        "ix_flow_facets_facet_by_metadata_updated",
        "flow_facets",
        ["facet", "by_metadata_updated"],
        unique=False,
    )


def downgrade() -> None:
    """Drop all tables."""
    for table in (
        "flow_facets",
        "flow_collectors",
        "source_facets",
        "source_collectors",
        "segments",
        "object_instances",
        "flows",
        "document_keys",
        "sources",
        "operations",
        "objects",
        "jobs",
        "flow_keys",
        "documents",
    ):
        op.drop_table(table)
