"""Events: the outbox, the deliveries of each webhook, and the tags of documents."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the two tables, and add the column for tags."""
    op.create_table(
        "outbox",
        sa.Column("created", INTEGER, autoincrement=False, nullable=False),
        sa.Column("position", INTEGER, autoincrement=False, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("created", "position", "id", name="pk_outbox"),
    )
    op.create_table(
        "deliveries",
        sa.Column("webhook_id", TEXT, nullable=False),
        sa.Column("sequence", INTEGER, autoincrement=False, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", "sequence", name="pk_deliveries"),
    )
    op.add_column("documents", sa.Column("tags", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Drop the column and the tables."""
    op.drop_column("documents", "tags")
    op.drop_table("deliveries")
    op.drop_table("outbox")
