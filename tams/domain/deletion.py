"""Deletions: counts of deleted items, and Flow Delete Requests, which are carried out in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from tams.domain.timerange import NEVER, TimeRange

Status = Literal["created", "started", "done", "error"]


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of items of each kind that a deletion has removed."""

    sources: int = 0
    flows: int = 0
    segments: int = 0
    objects: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.sources + other.sources,
            self.flows + other.flows,
            self.segments + other.segments,
            self.objects + other.objects,
        )


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """A deletion that the worker carries out in batches (specification, `deletion-request.json`).

    It removes the Segments of the Flow key that lie within `timerange`, refer to the given Object if there is one, and
    were registered before the time `before`. With `delete_flow`, the Flow itself disappeared when the request was
    accepted. With `keep_last`, the request ends in error rather than remove an Object's last reference. `classes` are
    those that the Flow had when the request was accepted. Times are in microseconds.
    """

    id: str
    flow_id: str
    flow_key: int
    timerange: TimeRange
    remaining: TimeRange
    delete_flow: bool
    keep_last: bool
    before: int
    created: int
    created_by: str
    updated: int
    object_id: str | None = None
    init_object_id: str | None = None
    status: Status = "created"
    expiry: int | None = None
    error: dict[str, Any] | None = None
    classes: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """True once the request removes no more Segments."""
        return self.status in ("done", "error")

    def progressed(self, remaining: TimeRange, now: int) -> DeleteRequest:
        """Return the request after a batch; `remaining` is the range that is left."""
        return replace(self, status="started", remaining=remaining, updated=now)

    def done(self, now: int, expiry: int) -> DeleteRequest:
        """Return the request after its last batch."""
        return replace(self, status="done", remaining=NEVER, updated=now, expiry=expiry)

    def failed(self, error: dict[str, Any], now: int, expiry: int) -> DeleteRequest:
        """Return the request stopped by an error (`error.json`)."""
        return replace(self, status="error", error=error, updated=now, expiry=expiry)


@dataclass(frozen=True, slots=True)
class Deleted:
    """The outcome of a deletion that is complete."""

    counts: Counts


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of a deletion that goes on in the background: one request per Flow."""

    requests: tuple[DeleteRequest, ...]


Outcome: TypeAlias = Deleted | Accepted
