"""The queue of background work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from typing_extensions import override

from tams.domain.clock import MICROSECONDS, now
from tams.repository.port import Job
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.predicates import Predicate, equal
from tams.repository.vast.rows import encoded
from tams.repository.vast.tables import JOBS, Row


class JobReads(ReadPart):
    """Reads of the queue."""

    def any_due(self, kind: str) -> bool:
        """Return whether a job of the kind is due, so that it can be leased."""
        due, _ = self._view.bounded(JOBS, (), _due(kind), 1)
        return bool(due)

    @override
    def queued(self, kind: str, job_ids: Collection[str]) -> set[str]:
        return {row["key"] for row in self._view.look_up(JOBS, "key", job_ids) if row["kind"] == kind}

    def _job_row(self, kind: str, job_id: str) -> Row | None:
        return next((row for row in self._view.look_up(JOBS, "key", [job_id]) if row["kind"] == kind), None)


class JobWrites(JobReads, WritePart):
    """Writes of the queue."""

    @override
    def enqueue(self, jobs: Iterable[Job]) -> None:
        by_key = {(job.kind, job.job_id): job for job in jobs}
        self._require(*(_lock(kind, job_id) for kind, job_id in by_key))
        rows = self._view.look_up(JOBS, "key", {job_id for _, job_id in by_key})
        stored = {(row["kind"], row["key"]): row for row in rows}
        for row_key, job in by_key.items():
            before = stored.get(row_key)
            row = {
                "kind": job.kind,
                "key": job.job_id,
                "payload": encoded(job.payload),
                "due": job.due,
                "available": job.due,
                "attempts": job.attempts if before is None else before["attempts"],
                "worker": None,
            }
            if before is None:
                self._view.add(JOBS, row)
            else:
                self._view.put(JOBS, row)

    @override
    def finish(self, kind: str, job_id: str) -> None:
        self._require(_lock(kind, job_id))
        if self._job_row(kind, job_id) is not None:
            self._view.remove(JOBS, (kind, job_id))

    def lease(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        """Lease up to `limit` due jobs to a worker for `seconds`, the longest available first."""
        moment = now()
        due = self._view.first(JOBS, "available", _due(kind, moment), limit)
        jobs = []
        for _, (_, job_id) in due:
            row = self._job_row(kind, job_id)
            if row is not None:
                self._require(_lock(kind, job_id))
                attempts = row["attempts"] + 1
                changed = {"available": moment + seconds * MICROSECONDS, "attempts": attempts, "worker": worker}
                self._view.put(JOBS, {**row, **changed})
                jobs.append(Job(kind, job_id, orjson.loads(row["payload"]), row["due"], attempts))
        return jobs

    def prolong(self, job: Job, seconds: int) -> bool:
        """Extend the lease of a job to `seconds` from now; return False if the lease was lost."""
        row = self._leased_row(job)
        if row is not None:
            self._view.put(JOBS, {**row, "available": now() + seconds * MICROSECONDS})
        return row is not None

    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None) -> None:
        """Give a leased job back, due later (microseconds), with a new payload unless it is None."""
        row = self._leased_row(job)
        if row is None:
            return
        changed: Row = {**row, "due": due, "available": due, "worker": None}
        if payload is not None:
            changed["payload"] = encoded(dict(payload))
        self._view.put(JOBS, changed)

    def _leased_row(self, job: Job) -> Row | None:
        """Return the row of a job while its lease lasts.

        In the meantime the job may have been enqueued again, or leased to another worker.
        """
        self._require(_lock(job.kind, job.job_id))
        row = self._job_row(job.kind, job.job_id)
        return row if row is not None and row["attempts"] == job.attempts and row["worker"] is not None else None


def _due(kind: str, moment: int | None = None) -> list[Predicate]:
    return [equal("kind", kind), Predicate("available", "<=", now() if moment is None else moment)]


def _lock(kind: str, job_id: str) -> str:
    return f"job {kind} {job_id}"
