"""The job queue: enqueue, lease, prolong, postpone and finish."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, exists, literal_column, select, update
from typing_extensions import override

from tams.domain.clock import MICROSECONDS, now
from tams.repository.codecs import encode
from tams.repository.port import Job
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.dialects import texts, upsert
from tams.repository.sql.engine import Session
from tams.repository.sql.tables import jobs

_ENQUEUE = upsert(jobs, update=["payload", "due", "available", "worker"])
_ROW = tuple(column.name for column in jobs.columns)
_FINISH = delete(jobs).where(jobs.c.kind == bindparam("of_kind"), jobs.c.key == bindparam("of_job"))
_DUE = (
    select(jobs.c.key, jobs.c.payload, jobs.c.due, jobs.c.attempts)
    .where(jobs.c.kind == bindparam("of_kind"), jobs.c.available <= bindparam("now"))
    .order_by(jobs.c.available, jobs.c.key)
    .limit(bindparam("limit"))
)
# Workers skip the jobs that another worker is leasing at this moment.
_TAKE = _DUE.with_for_update(skip_locked=True)
_LEASE = (
    update(jobs)
    .where(jobs.c.kind == bindparam("of_kind"), jobs.c.key == bindparam("of_job"))
    .values(available=bindparam("until"), attempts=jobs.c.attempts + literal_column("1"), worker=bindparam("lessee"))
)
# Changes the job only while it has the same lease: it may have been enqueued again or leased to another worker since.
_LEASED = update(jobs).where(
    jobs.c.kind == bindparam("of_kind"),
    jobs.c.key == bindparam("of_job"),
    jobs.c.attempts == bindparam("lease"),
    jobs.c.worker.is_not(None),
)
_PROLONG = _LEASED.values(available=bindparam("until"))
_POSTPONE = _LEASED.values(due=bindparam("later"), available=bindparam("later"), worker=None)
_POSTPONE_CHANGED = _POSTPONE.values(payload=bindparam("changed"))
_job_ids = texts("job_ids")
_QUEUED = select(_job_ids.c.value).where(
    exists(
        select(literal_column("1"))
        .select_from(jobs)
        .where(jobs.c.kind == bindparam("of_kind"), jobs.c.key == _job_ids.c.value)
    )
)


class JobReads(ReadPart):
    """Look jobs up."""

    @override
    def queued(self, kind: str, job_ids: Collection[str], /) -> set[str]:
        if not job_ids:
            return set()
        rows = self._session.rows(_QUEUED, {"of_kind": kind, "job_ids": self._session.array(sorted(set(job_ids)))})
        return {row[0] for row in rows}


class JobWrites(JobReads, WritePart):
    """Enqueue and finish jobs."""

    @override
    def enqueue(self, jobs: Iterable[Job]) -> None:
        rows = {
            (job.kind, job.job_id): (
                job.kind,
                job.job_id,
                encode(job.payload),
                job.due,
                job.due,
                job.attempts,
                None,
            )
            for job in jobs
        }
        self._session.run_many(_ENQUEUE, _ROW, list(rows.values()))

    @override
    def finish(self, kind: str, job_id: str, /) -> None:
        self._session.run(_FINISH, {"of_kind": kind, "of_job": job_id})


def any_due(session: Session, kind: str) -> bool:
    """Tell whether a job is due, in a snapshot: an idle worker does not take the write lock."""
    return session.row(_DUE, {"of_kind": kind, "now": now(), "limit": 1}) is not None


def lease(session: Session, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
    """Lease up to `limit` jobs that are due to a worker."""
    moment = now()
    rows = session.rows(_TAKE, {"of_kind": kind, "now": moment, "limit": limit})
    until = moment + seconds * MICROSECONDS
    session.run_many(_LEASE, ("of_kind", "of_job", "until", "lessee"), [(kind, row[0], until, worker) for row in rows])
    return [Job(kind, row[0], orjson.loads(row[1]), row[2], row[3] + 1) for row in rows]


def prolong(session: Session, job: Job, seconds: int) -> bool:
    """Extend a lease to `seconds` from now. Return False if it was lost."""
    values = {"of_kind": job.kind, "of_job": job.job_id, "lease": job.attempts, "until": now() + seconds * MICROSECONDS}
    return session.run(_PROLONG, values) > 0


def postpone(session: Session, job: Job, due: int, payload: Mapping[str, Any] | None) -> None:
    """Give a leased job back, due later, with another payload unless it is None."""
    values: dict[str, Any] = {"of_kind": job.kind, "of_job": job.job_id, "lease": job.attempts, "later": due}
    if payload is None:
        session.run(_POSTPONE, values)
    else:
        session.run(_POSTPONE_CHANGED, {**values, "changed": encode(dict(payload))})
