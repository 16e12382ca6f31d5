"""The queue of background work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, exists, literal_column, select, update

from tams.domain.clock import MICROSECONDS, now
from tams.repository.codecs import encode
from tams.repository.port import Job
from tams.repository.sql.dialects import texts, upsert
from tams.repository.sql.engine import Session
from tams.repository.sql.tables import jobs

_ENQUEUE = upsert(jobs, update=["payload", "due", "available", "worker"])
_ROW = tuple(column.name for column in jobs.columns)
_FINISH = delete(jobs).where(jobs.c.kind == bindparam("of_kind"), jobs.c.key == bindparam("of_key"))
_DUE = (
    select(jobs.c.key, jobs.c.payload, jobs.c.due, jobs.c.attempts)
    .where(jobs.c.kind == bindparam("of_kind"), jobs.c.available <= bindparam("now"))
    .order_by(jobs.c.available, jobs.c.key)
    .limit(bindparam("limit"))
)
# Other workers pass over what one is taking.
_TAKE = _DUE.with_for_update(skip_locked=True)
_LEND = (
    update(jobs)
    .where(jobs.c.kind == bindparam("of_kind"), jobs.c.key == bindparam("of_key"))
    .values(available=bindparam("until"), attempts=jobs.c.attempts + literal_column("1"), worker=bindparam("by"))
)
# Only as long as it is the same lease: the job may have been enqueued anew, or lent to another, in the meantime.
_LENT = update(jobs).where(
    jobs.c.kind == bindparam("of_kind"),
    jobs.c.key == bindparam("of_key"),
    jobs.c.attempts == bindparam("lease"),
    jobs.c.worker.is_not(None),
)
_PROLONG = _LENT.values(available=bindparam("until"))
_POSTPONE = _LENT.values(due=bindparam("later"), available=bindparam("later"), worker=None)
_POSTPONE_CHANGED = _POSTPONE.values(payload=bindparam("changed"))
_keys = texts("keys")
_QUEUED = select(_keys.c.value).where(
    exists(
        select(literal_column("1"))
        .select_from(jobs)
        .where(jobs.c.kind == bindparam("of_kind"), jobs.c.key == _keys.c.value)
    )
)


class JobReads:
    """What can be asked about the queue."""

    _session: Session

    def queued(self, kind: str, keys: Collection[str]) -> set[str]:
        """Those of the keys that a job of the kind has, lent or not."""
        if not keys:
            return set()
        rows = self._session.rows(_QUEUED, {"of_kind": kind, "keys": self._session.array(sorted(set(keys)))})
        return {row[0] for row in rows}


class JobWrites(JobReads):
    """What a transaction can do to the queue."""

    def enqueue(self, jobs: Iterable[Job]) -> None:
        """Queue work, done once this transaction is committed."""
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

    def finish(self, kind: str, key: str) -> None:
        """The job is done."""
        self._session.run(_FINISH, {"of_kind": kind, "of_key": key})


def any_due(session: Session, kind: str) -> bool:
    """Whether a lease would lend anything: asked first, because an idle worker should not take the write lock."""
    return session.row(_DUE, {"of_kind": kind, "now": now(), "limit": 1}) is not None


def lend(session: Session, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
    """Mark jobs that are due as lent for `seconds`."""
    moment = now()
    rows = session.rows(_TAKE, {"of_kind": kind, "now": moment, "limit": limit})
    until = moment + seconds * MICROSECONDS
    session.run_many(_LEND, ("of_kind", "of_key", "until", "by"), [(kind, row[0], until, worker) for row in rows])
    return [Job(kind, row[0], orjson.loads(row[1]), row[2], row[3] + 1) for row in rows]


def prolong(session: Session, job: Job, seconds: int) -> bool:
    """Lend a lent job for longer; whether it is still the same lease."""
    values = {"of_kind": job.kind, "of_key": job.job_id, "lease": job.attempts, "until": now() + seconds * MICROSECONDS}
    return session.run(_PROLONG, values) > 0


def postpone(session: Session, job: Job, due: int, payload: Mapping[str, Any] | None) -> None:
    """Give a lent job back, with another payload if one is given."""
    values: dict[str, Any] = {"of_kind": job.kind, "of_key": job.job_id, "lease": job.attempts, "later": due}
    if payload is None:
        session.run(_POSTPONE, values)
    else:
        session.run(_POSTPONE_CHANGED, {**values, "changed": encode(dict(payload))})
