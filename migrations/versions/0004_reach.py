"""The schema says which code it serves, so that the version before goes on running on it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
serves = "0004"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table of one row, which each step from this one on writes."""
    op.create_table(
        "schema_reach",
        sa.Column("revision", TEXT, nullable=False),
        sa.Column("serves", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_reach"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("schema_reach")
