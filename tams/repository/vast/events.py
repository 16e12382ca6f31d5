"""The outbox that writes put events into, and the deliveries that wait for each webhook."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from tams.domain.events import Delivery, Event
from tams.repository.codecs import decode_event
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.predicates import Predicate, among, equal
from tams.repository.vast.rows import encoded
from tams.repository.vast.tables import DELIVERIES, OUTBOX

_OUTBOX_LOCK = "outbox"


class DeliveryReads(ReadPart):
    """Reads of deliveries."""

    @override
    def deliveries(self, webhook_id: str, limit: int) -> list[Delivery]:
        mine = equal("webhook_id", webhook_id)
        sequences = [sequence for sequence, _ in self._view.first(DELIVERIES, "sequence", [mine], limit)]
        if not sequences:
            return []
        bounds = [mine, Predicate("sequence", ">=", sequences[0]), Predicate("sequence", "<=", sequences[-1])]
        rows = self._view.select(DELIVERIES, ("event",), bounds)
        rows.sort(key=lambda row: row["sequence"])
        return [Delivery(webhook_id, row["sequence"], decode_event(row["event"])) for row in rows]


class EventWrites(DeliveryReads, WritePart):
    """Writes of the outbox and of deliveries."""

    @override
    def append_events(self, events: Sequence[Event]) -> None:
        # No lock is required: these rows are only added, and each is taken once.
        for event in events:
            self._view.add(OUTBOX, {"place": _place(event), "event": encoded(event)})

    @override
    def take_events(self, limit: int) -> list[Event]:
        self._require(_OUTBOX_LOCK)
        places = [place for place, _ in self._view.first(OUTBOX, "place", [], limit)]
        if not places:
            return []
        rows = {row["place"]: row for row in self._view.select(OUTBOX, ("event",), [among("place", places)])}
        for place in places:
            self._view.remove(OUTBOX, (place,))
        return [decode_event(rows[place]["event"]) for place in places]

    @override
    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        # Encoded once: most events go to several webhooks.
        texts = {delivery.event.id: encoded(delivery.event) for delivery in deliveries}
        self._require(*{f"document {delivery.webhook_id}" for delivery in deliveries})
        for delivery in deliveries:
            row = {"webhook_id": delivery.webhook_id, "sequence": delivery.sequence, "event": texts[delivery.event.id]}
            self._view.add(DELIVERIES, row)

    @override
    def ack(self, webhook_id: str, through: int) -> None:
        self._require(f"document {webhook_id}")
        predicates = [equal("webhook_id", webhook_id), Predicate("sequence", "<=", through)]
        for row in self._view.select(DELIVERIES, (), predicates):
            self._view.remove(DELIVERIES, (webhook_id, row["sequence"]))

    @override
    def drop_deliveries(self, webhook_id: str, limit: int) -> bool:
        first = self._view.first(DELIVERIES, "sequence", [equal("webhook_id", webhook_id)], limit + 1)
        if first:
            self._require(f"document {webhook_id}")
        for _, key in first[:limit]:
            self._view.remove(DELIVERIES, key)
        return len(first) > limit


def _place(event: Event) -> str:
    """Return a text that sorts like the events: creation and position in a fixed width, and the id."""
    return f"{event.created + 2**63:016x}{event.position + 2**63:016x}{event.id}"
