"""The rights that the role of a PostgreSQL database needs on the tables."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, not_, select

from tams.domain.errors import Unusable
from tams.repository.sql.dialects import RIGHTS_REMEDY, texts
from tams.repository.sql.engine import Session
from tams.repository.sql.tables import metadata

_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")

_tables = texts("tables")
_rights = texts("rights")
_LACKING: Final = (
    select(_tables.c.value, _rights.c.value)
    .where(not_(func.has_table_privilege(_tables.c.value, _rights.c.value)))
    .order_by(_tables.c.value, _rights.c.value)
)


def check_rights(session: Session) -> None:
    """Check that the role has the rights that the store needs on each of its tables.

    Raises:
        Unusable: rights are missing; the message names the first.
    """
    tables = session.dialect.array(list(metadata.tables))
    lacking = session.rows(_LACKING, {"tables": tables, "rights": session.dialect.array(list(_RIGHTS))})
    if lacking:
        table, right = lacking[0]
        raise Unusable(
            "The database denies access.",
            f"The role lacks {len(lacking)} rights on tables, beginning with {right} on {table}.",
            RIGHTS_REMEDY,
        )
