"""The outbox that changes write events to, and the deliveries that wait for each webhook."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, select
from typing_extensions import override

from tams.domain.events import Delivery, Event
from tams.repository.codecs import decode_event, encode
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.tables import deliveries, outbox

_APPEND = insert(outbox)
_NEXT = (
    select(outbox.c.created, outbox.c.position, outbox.c.id, outbox.c.event)
    .order_by(outbox.c.created, outbox.c.position, outbox.c.id)
    .limit(bindparam("limit"))
)
_TAKE = delete(outbox).where(
    outbox.c.created == bindparam("of_created"),
    outbox.c.position == bindparam("of_position"),
    outbox.c.id == bindparam("of_id"),
)

_TAKERS_LOCK = 0x7A3D_1E55_0E7E
"""The number of the advisory lock that takers queue for (PostgreSQL).

A taker that skipped the rows that another one is taking would overtake it.
"""
_LOCK = select(func.pg_advisory_xact_lock(bindparam("lock")))

_OF_WEBHOOK = deliveries.c.webhook_id == bindparam("webhook")
_WAITING = (
    select(deliveries.c.sequence, deliveries.c.event)
    .where(_OF_WEBHOOK)
    .order_by(deliveries.c.sequence)
    .limit(bindparam("limit"))
)
_FIRST_AFTER = (
    select(deliveries.c.sequence).where(_OF_WEBHOOK).order_by(deliveries.c.sequence).limit(1).offset(bindparam("limit"))
)
_ADD = insert(deliveries)
_REMOVE = delete(deliveries).where(_OF_WEBHOOK, deliveries.c.sequence <= bindparam("through"))
_REMOVE_ALL = delete(deliveries).where(_OF_WEBHOOK)


class DeliveryReads(ReadPart):
    """Read deliveries."""

    @override
    def deliveries(self, webhook_id: str, limit: int) -> list[Delivery]:
        rows = self._session.rows(_WAITING, {"webhook": webhook_id, "limit": limit})
        return [Delivery(webhook_id, sequence, decode_event(text)) for sequence, text in rows]


class EventWrites(DeliveryReads, WritePart):
    """Add events to the outbox and take them out; add and remove deliveries."""

    @override
    def append_events(self, events: Sequence[Event]) -> None:
        rows = [(event.created, event.position, event.id, encode(event)) for event in events]
        self._session.run_many(_APPEND, ("created", "position", "id", "event"), rows)

    @override
    def take_events(self, limit: int) -> list[Event]:
        session = self._session
        if not session.dialect.one_writer:
            session.rows(_LOCK, {"lock": _TAKERS_LOCK})
        rows = session.rows(_NEXT, {"limit": limit})
        session.run_many(_TAKE, ("of_created", "of_position", "of_id"), [row[:3] for row in rows])
        return [decode_event(row[3]) for row in rows]

    @override
    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        # Most events go to several webhooks: each is encoded once.
        texts = {delivery.event.id: encode(delivery.event) for delivery in deliveries}
        rows = [(delivery.webhook_id, delivery.sequence, texts[delivery.event.id]) for delivery in deliveries]
        self._session.run_many(_ADD, ("webhook_id", "sequence", "event"), rows)

    @override
    def ack(self, webhook_id: str, through: int) -> None:
        self._session.run(_REMOVE, {"webhook": webhook_id, "through": through})

    @override
    def drop_deliveries(self, webhook_id: str, limit: int) -> bool:
        first_after = self._session.row(_FIRST_AFTER, {"webhook": webhook_id, "limit": limit})
        if first_after is None:
            self._session.run(_REMOVE_ALL, {"webhook": webhook_id})
            return False
        self.ack(webhook_id, first_after[0] - 1)
        return True
