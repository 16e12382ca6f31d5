"""Events as the owner of a webhook sees them, when they are shared out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from tams.domain.access import Access, document_classes
from tams.domain.collection_views import related_ids, visible_json
from tams.domain.events import Event
from tams.domain.webhooks import Webhook
from tams.repository.port import Read
from tams.services.store import Store


class SeenEvents:
    """Some events of the outbox, for each webhook those that its owner may read.

    An event is judged by the classes that its Flow or Source had at the change, the ids in it by those that their Flows
    and Sources have now: what is gone is not named.
    """

    def __init__(self, store: Store, read: Read, events: Sequence[Event]) -> None:
        self._store = store
        self._read = read
        self._events = events

    def visible_to(self, webhook: Webhook) -> list[Event]:
        """Those of the events that the webhook's owner may read, without what is hidden from them."""
        access = self._store.access_of(webhook.groups, admin=webhook.admin)
        if not access.is_limited:
            return list(self._events)
        return [self._as_seen(event, access) for event in self._events if access.may("read", event.classes)]

    def _as_seen(self, event: Event, access: Access) -> Event:
        def readable(known: dict[str, tuple[str, ...]]) -> set[str]:
            return {each for each, classes in known.items() if access.may("read", classes)}

        flows, sources = readable(self._flows), readable(self._sources)
        body = event.body
        for name, seen in (("flow", flows), ("source", sources)):
            if name in body:
                body = {**body, name: visible_json(body[name], seen)}
        return replace(
            event,
            body=body,
            flow_collected_by=tuple(each for each in event.flow_collected_by if each in flows),
            source_collected_by=tuple(each for each in event.source_collected_by if each in sources),
        )

    @cached_property
    def _flows(self) -> dict[str, tuple[str, ...]]:
        """The classes of the Flows that the events name beside their own."""
        named = {each for event in self._events for each in event.flow_collected_by}
        named.update(*(related_ids(event.body.get("flow", {})) for event in self._events))
        return {each: document_classes(flow.metadata) for each, flow in self._read.flows_by_id(named).items()}

    @cached_property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        """The classes of the Sources that the events name beside their own."""
        named = {each for event in self._events for each in event.source_collected_by}
        named.update(*(related_ids(event.body.get("source", {})) for event in self._events))
        return {each: document_classes(source.metadata) for each, source in self._read.sources_by_id(named).items()}
