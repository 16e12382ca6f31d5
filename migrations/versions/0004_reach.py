"""A table that states which code can work with the schema, so that the version before keeps running on it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
serves = "0004"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table. It has one row, which this and every later migration writes."""
    op.create_table(
        "schema_reach",
        sa.Column("revision", TEXT, nullable=False),
        sa.Column("serves", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_reach"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("schema_reach")
