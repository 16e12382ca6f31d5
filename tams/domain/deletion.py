"""Deletions: what has gone, and the Flow Delete Requests that go on in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from tams.domain.timerange import NEVER, TimeRange

Status = Literal["created", "started", "done", "error"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each kind a deletion has removed."""

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

    It removes the Segments of the Flow key that lie within `timerange`, use the given Object, and were registered
    before the moment `before`. With `delete_flow` the Flow itself was taken out of every answer when the request was
    accepted. With `keep_last` it ends in error rather than drop an Object's last reference. `classes` are those that
    the Flow had then. Times are microseconds.
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
        """True once nothing more will be removed."""
        return self.status in ("done", "error")

    def progressed(self, remaining: TimeRange, now: int) -> DeleteRequest:
        """The request after a batch."""
        return replace(self, status="started", remaining=remaining, updated=now)

    def done(self, now: int, expiry: int) -> DeleteRequest:
        """The request after its last batch."""
        return replace(self, status="done", remaining=NEVER, updated=now, expiry=expiry)

    def failed(self, error: dict[str, Any], now: int, expiry: int) -> DeleteRequest:
        """The request when it had to stop."""
        return replace(self, status="error", error=error, updated=now, expiry=expiry)


@dataclass(frozen=True, slots=True)
class Deleted:
    """It is done."""

    counts: Counts


@dataclass(frozen=True, slots=True)
class Accepted:
    """It goes on in the background: one request per Flow."""

    requests: tuple[DeleteRequest, ...]


Outcome: TypeAlias = Deleted | Accepted
