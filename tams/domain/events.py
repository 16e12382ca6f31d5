"""Events: what the store tells others of its changes (specification, `webhooks`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

EventType = Literal[
    "flows/created",
    "flows/updated",
    "flows/deleted",
    "flows/segments_added",
    "flows/segments_deleted",
    "sources/created",
    "sources/updated",
    "sources/deleted",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One event, written in the transaction of the change that it tells of.

    `created` is in microseconds and `position` counts the events of one transaction: together they are the order. What
    webhooks filter by is kept as it was at the change: the Flow (None for events of Sources), the Source, what collects
    either, and the classes of the resource. `body` is the store's own, below 100 kB: it becomes the event's body when
    it is delivered, so that presigned URLs are fresh.
    """

    id: str
    type: EventType
    created: int
    position: int
    source_id: str
    flow_id: str | None = None
    flow_collected_by: tuple[str, ...] = ()
    source_collected_by: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An Event that waits to be sent to one webhook. `sequence` counts a webhook's deliveries from 1, without gaps."""

    webhook_id: str
    sequence: int
    event: Event
