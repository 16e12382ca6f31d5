"""Events that the owner of a webhook may see, and what is hidden in them, decided when events are fanned out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from tams.domain.access import Access, document_classes
from tams.domain.collection_views import related_ids, visible_json
from tams.domain.events import Event
from tams.domain.webhooks import Webhook
from tams.repository.port import Read
from tams.services.store import Store


class VisibleEvents:
    """Some events of the outbox, restricted for each webhook to those that its owner may read.

    Whether an event is visible depends on the classes that its Flow or Source had at the change. The ids in it depend
    on the classes that their Flows and Sources have now; ids of deleted ones are hidden.
    """

    def __init__(self, store: Store, read: Read, events: Sequence[Event]) -> None:
        self._store = store
        self._read = read
        self._events = events

    def visible_to(self, webhook: Webhook) -> list[Event]:
        """Return the events that the webhook's owner may read, without the ids that the owner may not read."""
        access = self._store.access_of(webhook.groups, admin=webhook.admin)
        if not access.is_limited:
            return list(self._events)
        return [self._restricted(event, access) for event in self._events if access.may("read", event.classes)]

    def _restricted(self, event: Event, access: Access) -> Event:
        def readable(classes_by_id: dict[str, tuple[str, ...]]) -> set[str]:
            return {resource_id for resource_id, classes in classes_by_id.items() if access.may("read", classes)}

        flow_ids, source_ids = readable(self._flow_classes), readable(self._source_classes)
        body = event.body
        for name, readable_ids in (("flow", flow_ids), ("source", source_ids)):
            if name in body:
                body = {**body, name: visible_json(body[name], readable_ids)}
        return replace(
            event,
            body=body,
            flow_collected_by=tuple(flow_id for flow_id in event.flow_collected_by if flow_id in flow_ids),
            source_collected_by=tuple(source_id for source_id in event.source_collected_by if source_id in source_ids),
        )

    @cached_property
    def _flow_classes(self) -> dict[str, tuple[str, ...]]:
        """The classes, by id, of the Flows that the events name besides their own."""
        flow_ids = self._named_ids("flow", (event.flow_collected_by for event in self._events))
        return {flow_id: document_classes(flow.metadata) for flow_id, flow in self._read.flows_by_id(flow_ids).items()}

    @cached_property
    def _source_classes(self) -> dict[str, tuple[str, ...]]:
        """The classes, by id, of the Sources that the events name besides their own."""
        source_ids = self._named_ids("source", (event.source_collected_by for event in self._events))
        sources = self._read.sources_by_id(source_ids)
        return {source_id: document_classes(source.metadata) for source_id, source in sources.items()}

    def _named_ids(self, kind: str, collectors: Iterable[Iterable[str]]) -> set[str]:
        in_bodies = (related_ids(event.body.get(kind, {})) for event in self._events)
        return set[str]().union(*collectors, *in_bodies)
