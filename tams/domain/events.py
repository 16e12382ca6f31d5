"""Events: reports of changes in the store (specification, `webhooks`)."""

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
    """An event, written in the transaction of the change that it reports.

    `created` is in microseconds and `position` counts the events of one transaction; together they define the order.
    The properties that webhooks filter by are stored as they were at the change: the Flow (None for events of Sources),
    the Source, the collectors of either, and the classes of the resource. `body` is an internal form, below 100 kB. The
    JSON of the event is made from it at delivery, so that presigned URLs are fresh.
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
    """An Event that waits to be sent to one webhook. `sequence` numbers a webhook's deliveries from 1, without gaps."""

    webhook_id: str
    sequence: int
    event: Event
