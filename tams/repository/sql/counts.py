"""Counts up to a cap, of rows of every table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, bindparam, func, literal_column, select
from typing_extensions import override

from tams.repository.port import Counted
from tams.repository.sql.base import ReadPart
from tams.repository.sql.tables import deliveries, documents, flows, objects, outbox, segments


def _count_of(rows: Select[Any]) -> Executable:
    return select(func.count()).select_from(rows.limit(bindparam("cap")).subquery())


def _count_by(column: ColumnElement[Any]) -> Executable:
    return _count_of(select(literal_column("1").label("one")).where(column == bindparam("owner")))


_COUNTS: dict[Counted, Executable] = {
    "flows of source": _count_by(flows.c.source_id),
    "segments of object": _count_by(segments.c.object_id),
    "objects of init": _count_by(objects.c.init_object_id),
    "documents of kind": _count_by(documents.c.kind),
    "deliveries of webhook": _count_by(deliveries.c.webhook_id),
    "events in outbox": _count_of(select(literal_column("1").label("one")).select_from(outbox)),
}


class CountReads(ReadPart):
    """Count rows."""

    @override
    def count_up_to(self, what: Counted, owner: str, cap: int) -> int:
        row = self._session.row(_COUNTS[what], {"owner": owner, "cap": cap})
        return 0 if row is None else int(row[0])
