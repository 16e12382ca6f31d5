"""An index of instances by Storage Backend and storage key, for listings of a Storage Backend."""

import sqlalchemy as sa
from alembic import op

from tams.repository.sql import online_ddl

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_TABLE = "object_instances"
_BEFORE = ("storage_key",)
_AFTER = ("storage_id", "storage_key")


def upgrade() -> None:
    """Make storage keys unique within their Storage Backend, and index both columns together."""
    _replace(_BEFORE, _AFTER)


def downgrade() -> None:
    """Make storage keys unique across all Storage Backends."""
    _replace(_AFTER, _BEFORE)


def _replace(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        online_ddl.create_index(_name(new), _TABLE, list(new), unique=True)
        op.drop_constraint(_name(old), _TABLE, type_="unique")
        op.execute(f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_name(new)} UNIQUE USING INDEX {_name(new)}")
        return
    # SQLite cannot drop a constraint: the rows move to a new table.
    for column in ("label", "storage_id"):
        op.drop_index(f"uq_{_TABLE}_object_id_{column}", _TABLE)
    op.rename_table(_TABLE, f"{_TABLE}_before")
    op.create_table(
        _TABLE,
        sa.Column("object_id", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("storage_id", TEXT, nullable=True),
        sa.Column("storage_key", TEXT, nullable=True),
        sa.Column("put_until", INTEGER, nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("label", TEXT, nullable=True),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(storage_id IS NULL) = (storage_key IS NULL)", name=f"ck_{_TABLE}_storage"),
        sa.CheckConstraint("storage_key IS NOT NULL OR url IS NOT NULL", name=f"ck_{_TABLE}_place"),
        sa.ForeignKeyConstraint(
            ["object_id"], ["objects.id"], name=f"fk_{_TABLE}_object_id_objects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("object_id", "position", name=f"pk_{_TABLE}"),
        sa.UniqueConstraint(*new, name=_name(new)),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO {_TABLE} SELECT * FROM {_TABLE}_before")  # noqa: S608 - made of constants
    op.drop_table(f"{_TABLE}_before")
    for column in ("label", "storage_id"):
        op.create_index(
            f"uq_{_TABLE}_object_id_{column}",
            _TABLE,
            ["object_id", column],
            unique=True,
            sqlite_where=sa.text(f"{column} IS NOT NULL"),
        )


def _name(columns: tuple[str, ...]) -> str:
    return "_".join(("uq", _TABLE, *columns))
