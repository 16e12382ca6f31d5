"""The events of a change, written in its transaction (specification, `webhooks`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from tams.domain.access import document_classes
from tams.domain.events import Event, EventType
from tams.domain.flows import Flow, Source
from tams.domain.identifiers import new_id
from tams.domain.segments import Segment, gaps, runs
from tams.repository.port import Write
from tams.services.rendering.flows import flow_json
from tams.services.rendering.sources import source_json

WEBHOOK = "webhook"
"""Kind of the documents of webhooks."""

_MOST_BYTES = 90_000
"""Of the Segments in one event, as JSON: with the rest of it the event stays below 100 kB."""


class Outbox:
    """Takes the events of one transaction. It is made where the transaction's body begins, each time that it runs.

    Nothing is written while there is no webhook, whatever its state: asked once, before the first event. So a store
    without webhooks never grows an outbox, and a webhook gets no events of changes that came before it.

    What filters ask for is kept as of the change: after it for what was created or updated, before it for what was
    deleted. An event has the time of its change, which grows with every change of a Flow or Source (`next_change`).
    """

    def __init__(self, tx: Write) -> None:
        self._tx = tx
        self._wanted: bool | None = None
        self._position = 0

    def flow_created(self, flow: Flow) -> None:
        """`flows/created`. The Flow is stored."""
        if self._has_readers():
            self._of_flow("flows/created", flow, flow.created, [{"flow": flow_json(flow)}])

    def flow_updated(self, flow: Flow) -> None:
        """`flows/updated`. `flow` is what is stored now."""
        if self._has_readers():
            self._of_flow("flows/updated", flow, flow.metadata_updated, [{"flow": flow_json(flow)}])

    def flow_deleted(self, flow: Flow, at: int) -> None:
        """`flows/deleted`, when the deletion is accepted: at the moment `at` (microseconds), the Flow still stored."""
        if self._has_readers():
            self._of_flow("flows/deleted", flow, at, [{"flow_id": flow.id}])

    def segments_added(self, flow: Flow, segments: Sequence[Segment]) -> None:
        """`flows/segments_added` for the Segments of one request, registered at one moment. It is one event, or several
        where they would be too large for one."""
        if segments and self._has_readers():
            bodies = ({"flow_key": flow.flow_key, "segments": part} for part in _parts(segments))
            self._of_flow("flows/segments_added", flow, segments[0].registered, bodies)

    def segments_deleted(self, flow: Flow, removed: Sequence[Segment], at: int) -> None:
        """`flows/segments_deleted` for each run (`tams.domain.segments.runs`) of the Segments that this transaction has
        removed from the Flow, at the moment `at` (microseconds)."""
        if removed and self._has_readers():
            between = gaps(removed)
            occupied = self._tx.overlaps(flow.flow_key, between) if between else []
            bodies = ({"timerange": str(timerange)} for timerange in runs(removed, occupied))
            self._of_flow("flows/segments_deleted", flow, at, bodies)

    def all_segments_deleted(self, flow: Flow, at: int) -> None:
        """`flows/segments_deleted` for whatever the Flow has, where it goes now and its Segments follow in the
        background: nobody sees them any more, and by then there may be another Flow with this id."""
        if flow.extent is not None and self._has_readers():
            self._of_flow("flows/segments_deleted", flow, at, [{"timerange": str(flow.extent)}])

    def source_created(self, source_id: str) -> None:
        """`sources/created`. The Source is stored."""
        if self._has_readers() and (source := self._tx.source(source_id)) is not None:
            self._of_source("sources/created", source, source.created, {"source": source_json(source)})

    def source_updated(self, source: Source) -> None:
        """`sources/updated`. `source` is what is stored now."""
        if self._has_readers():
            self._of_source("sources/updated", source, source.updated, {"source": source_json(source)})

    def source_deleted(self, source: Source, now: int) -> None:
        """`sources/deleted`. `source` is what was stored; `now` in microseconds."""
        if self._has_readers():
            self._of_source("sources/deleted", source, source.next_change(now), {"source_id": source.id})

    def _has_readers(self) -> bool:
        if self._wanted is None:
            self._wanted = self._tx.count_up_to("documents of kind", WEBHOOK, 1) > 0
        return self._wanted

    def _of_flow(self, event_type: EventType, flow: Flow, at: int, bodies: Iterable[dict[str, Any]]) -> None:
        source = self._tx.source(flow.source_id)
        self._append(
            Event(
                new_id(),
                event_type,
                at,
                position,
                flow.source_id,
                flow.id,
                flow.collected_by,
                () if source is None else source.collected_by,
                document_classes(flow.metadata),
                body,
            )
            for position, body in enumerate(bodies, start=self._position)
        )

    def _of_source(self, event_type: EventType, source: Source, at: int, body: dict[str, Any]) -> None:
        self._append(
            [
                Event(
                    new_id(),
                    event_type,
                    at,
                    self._position,
                    source.id,
                    source_collected_by=source.collected_by,
                    classes=document_classes(source.metadata),
                    body=body,
                )
            ]
        )

    def _append(self, events: Iterable[Event]) -> None:
        written = list(events)
        self._position += len(written)
        self._tx.append_events(written)


def added_segments(event: Event) -> list[Segment]:
    """The Segments of a `flows/segments_added`."""
    return [Segment(*fields) for fields in event.body["segments"]]


def _parts(segments: Sequence[Segment]) -> Iterator[list[Sequence[Any]]]:
    part: list[Sequence[Any]] = []
    size = 0
    for segment in segments:
        fields = list(segment)
        length = len(orjson.dumps(fields)) + 1
        if part and size + length > _MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(fields)
        size += length
    yield part
