"""The port's `Read` and `Write` on SQLite and PostgreSQL, put together from their parts."""

from __future__ import annotations

from sqlalchemy import func, select
from typing_extensions import override

from tams.domain.errors import IntegrityBroken
from tams.repository.port import Key
from tams.repository.sql.counts import CountReads
from tams.repository.sql.dialects import integers
from tams.repository.sql.documents import DocumentReads, DocumentWrites
from tams.repository.sql.engine import Session
from tams.repository.sql.events import DeliveryReads, EventWrites
from tams.repository.sql.flows import FlowReads, FlowWrites
from tams.repository.sql.jobs import JobReads, JobWrites
from tams.repository.sql.objects import ObjectReads, ObjectWrites
from tams.repository.sql.references import ReferenceReads
from tams.repository.sql.segments import SegmentReads, SegmentWrites
from tams.repository.sql.sources import SourceReads, SourceWrites

_locks = integers("locks")
_LOCK = select(func.pg_advisory_xact_lock(_locks.c.value)).select_from(_locks)


class SqlRead(
    FlowReads,
    SourceReads,
    SegmentReads,
    ObjectReads,
    ReferenceReads,
    CountReads,
    DocumentReads,
    DeliveryReads,
    JobReads,
):
    """A snapshot, on an open session."""

    def __init__(self, session: Session) -> None:
        self._session = session


class SqlWrite(FlowWrites, SourceWrites, SegmentWrites, ObjectWrites, DocumentWrites, EventWrites, JobWrites, SqlRead):
    """A transaction, on an open session."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._claimed = False
        self._known = {}

    @override
    def claim(self, *keys: Key) -> None:
        # All transactions take their locks in the same order, so that they cannot deadlock. SQLite has nothing to lock,
        # because only one transaction writes; the rules about claims are enforced all the same.
        if self._claimed:
            raise IntegrityBroken("A transaction claims once.")
        if self._session.changed:
            raise IntegrityBroken("A transaction claims before its first write.")
        self._claimed = True
        self._known.clear()
        locks = self._session.dialect.locks(keys)
        if locks:
            self._session.rows(_LOCK, {"locks": self._session.array(locks)})
