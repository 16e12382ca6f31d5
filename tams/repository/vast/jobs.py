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
    """What can be asked about the queue."""

    def any_due(self, kind: str) -> bool:
        """Whether a lease would lend anything."""
        due, _ = self._view.bounded(JOBS, (), _due(kind), 1)
        return bool(due)

    @override
    def queued(self, kind: str, keys: Collection[str]) -> set[str]:
        return {row["key"] for row in self._view.look_up(JOBS, "key", keys) if row["kind"] == kind}

    def _job_row(self, kind: str, key: str) -> Row | None:
        return next((row for row in self._view.look_up(JOBS, "key", [key]) if row["kind"] == kind), None)


class JobWrites(JobReads, WritePart):
    """What a transaction can do to the queue."""

    @override
    def enqueue(self, jobs: Iterable[Job]) -> None:
        queued = {(job.kind, job.job_id): job for job in jobs}
        self._require(*(_lock(kind, key) for kind, key in queued))
        stored = {(row["kind"], row["key"]): row for row in self._view.look_up(JOBS, "key", {key for _, key in queued})}
        for place, job in queued.items():
            before = stored.get(place)
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
    def finish(self, kind: str, key: str) -> None:
        self._require(_lock(kind, key))
        if self._job_row(kind, key) is not None:
            self._view.remove(JOBS, (kind, key))

    def lend(self, kind: str, worker: str, limit: int, seconds: int) -> list[Job]:
        """Mark jobs that are due as lent for `seconds`."""
        moment = now()
        due = self._view.first(JOBS, "available", _due(kind, moment), limit)
        lent = []
        for _, (_, key) in due:
            row = self._job_row(kind, key)
            if row is not None:
                self._require(_lock(kind, key))
                attempts = row["attempts"] + 1
                changed = {"available": moment + seconds * MICROSECONDS, "attempts": attempts, "worker": worker}
                self._view.put(JOBS, {**row, **changed})
                lent.append(Job(kind, key, orjson.loads(row["payload"]), row["due"], attempts))
        return lent

    def prolong(self, job: Job, seconds: int) -> bool:
        """Lend a lent job for longer; whether it is still the same lease."""
        row = self._lent_row(job)
        if row is not None:
            self._view.put(JOBS, {**row, "available": now() + seconds * MICROSECONDS})
        return row is not None

    def postpone(self, job: Job, due: int, payload: Mapping[str, Any] | None) -> None:
        """Give a lent job back, with another payload if one is given."""
        row = self._lent_row(job)
        if row is None:
            return
        changed: Row = {**row, "due": due, "available": due, "worker": None}
        if payload is not None:
            changed["payload"] = encoded(dict(payload))
        self._view.put(JOBS, changed)

    def _lent_row(self, job: Job) -> Row | None:
        """Only as long as it is the same lease: it may have been enqueued anew, or lent to another, in the meantime."""
        self._require(_lock(job.kind, job.job_id))
        row = self._job_row(job.kind, job.job_id)
        return row if row is not None and row["attempts"] == job.attempts and row["worker"] is not None else None


def _due(kind: str, moment: int | None = None) -> list[Predicate]:
    return [equal("kind", kind), Predicate("available", "<=", now() if moment is None else moment)]


def _lock(kind: str, key: str) -> str:
    return f"job {kind} {key}"
