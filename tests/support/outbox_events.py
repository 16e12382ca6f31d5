"""A webhook that makes the store write events, and the events in the outbox."""

from __future__ import annotations

from tams.domain.events import Event
from tams.domain.identifiers import new_id
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY
from tams.repository.port import Document
from tams.services.store import Store


def listen(store: Store) -> None:
    """Register a webhook, so that the store writes events from now on."""
    webhook_id = new_id()
    keys = {"created": webhook_id}
    store.write(lambda tx: tx.put_document(Document("webhook", webhook_id, {"status": "created"}, keys)))


def new_events(store: Store) -> list[Event]:
    """Take the events since the last call from the outbox, in their order."""
    return store.write(lambda tx: tx.take_events(1000))


def new_event_summaries(store: Store) -> list[tuple[str, str]]:
    """Take the events since the last call; return the type of each, and the id of its Flow or Source."""
    return [(event.type, event.flow_id or event.source_id) for event in new_events(store)]


def stored(store: Store, flow_id: str) -> list[Segment]:
    """Return the Flow's Segments."""
    with store.repository.read() as read:
        flow = read.flow(flow_id)
        assert flow is not None
        return read.segments_within(flow.flow_key, ETERNITY, 10_000)
