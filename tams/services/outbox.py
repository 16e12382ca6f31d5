"""The outbox: the events of a change, stored in its transaction (specification, `webhooks`)."""

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

_MAX_SEGMENT_BYTES = 90_000
"""Largest size of the Segments in one event, as JSON: the whole event then stays below 100 kB."""


class Outbox:
    """Stores the events of one transaction. Each run of a transaction's body creates its own.

    Nothing is stored unless a webhook exists, in whatever state; that is asked once, before the first event. So the
    outbox of a store without webhooks stays empty, and a webhook gets no events of changes made before its creation.

    An event holds the properties that webhooks filter by: those after the change for a creation or an update, those
    before it for a deletion. Its time is that of the change, which grows with every change of a Flow or Source
    (`next_change`).
    """

    def __init__(self, tx: Write) -> None:
        self._tx = tx
        self._has_webhooks: bool | None = None
        self._position = 0

    def flow_created(self, flow: Flow) -> None:
        """Append `flows/created`. The Flow is stored."""
        if self._has_readers():
            self._of_flow("flows/created", flow, flow.created, [{"flow": flow_json(flow)}])

    def flow_updated(self, flow: Flow) -> None:
        """Append `flows/updated`. `flow` is what is stored now."""
        if self._has_readers():
            self._of_flow("flows/updated", flow, flow.metadata_updated, [{"flow": flow_json(flow)}])

    def flow_deleted(self, flow: Flow, at: int) -> None:
        """Append `flows/deleted` as of `at` (microseconds), when the deletion is accepted. The Flow is still stored."""
        if self._has_readers():
            self._of_flow("flows/deleted", flow, at, [{"flow_id": flow.id}])

    def segments_added(self, flow: Flow, segments: Sequence[Segment]) -> None:
        """Append `flows/segments_added` for the Segments of one request, which have one time of registration.

        It is one event, or several if one would be too large.
        """
        if segments and self._has_readers():
            bodies = ({"flow_key": flow.flow_key, "segments": part} for part in _parts(segments))
            self._of_flow("flows/segments_added", flow, segments[0].registered, bodies)

    def segments_deleted(self, flow: Flow, removed: Sequence[Segment], at: int) -> None:
        """Append `flows/segments_deleted` for each run (`tams.domain.segments.runs`) of the Segments `removed`.

        This transaction has removed them from the Flow, as of `at` (microseconds).
        """
        if removed and self._has_readers():
            between = gaps(removed)
            occupied = self._tx.overlaps(flow.flow_key, between) if between else []
            bodies = ({"timerange": str(timerange)} for timerange in runs(removed, occupied))
            self._of_flow("flows/segments_deleted", flow, at, bodies)

    def all_segments_deleted(self, flow: Flow, at: int) -> None:
        """Append `flows/segments_deleted` for the Flow's whole extent, if it has Segments, as of `at` (microseconds).

        It is for a Flow that is detached now and whose Segments the worker removes later: they are visible no more, and
        another Flow may have this id by then.
        """
        if flow.extent is not None and self._has_readers():
            self._of_flow("flows/segments_deleted", flow, at, [{"timerange": str(flow.extent)}])

    def source_created(self, source_id: str) -> None:
        """Append `sources/created`. The Source is stored."""
        if self._has_readers() and (source := self._tx.source(source_id)) is not None:
            self._of_source("sources/created", source, source.created, {"source": source_json(source)})

    def source_updated(self, source: Source) -> None:
        """Append `sources/updated`. `source` is what is stored now."""
        if self._has_readers():
            self._of_source("sources/updated", source, source.updated, {"source": source_json(source)})

    def source_deleted(self, source: Source, now: int) -> None:
        """Append `sources/deleted`. `source` is what was stored; `now` is in microseconds."""
        if self._has_readers():
            self._of_source("sources/deleted", source, source.next_change(now), {"source_id": source.id})

    def _has_readers(self) -> bool:
        if self._has_webhooks is None:
            self._has_webhooks = self._tx.count_up_to("documents of kind", WEBHOOK, 1) > 0
        return self._has_webhooks

    def _of_flow(self, event_type: EventType, flow: Flow, at: int, bodies: Iterable[dict[str, Any]]) -> None:
        source = self._tx.source(flow.source_id)
        self._append(
            Event(
                id=new_id(),
                type=event_type,
                created=at,
                position=position,
                source_id=flow.source_id,
                flow_id=flow.id,
                flow_collected_by=flow.collected_by,
                source_collected_by=() if source is None else source.collected_by,
                classes=document_classes(flow.metadata),
                body=body,
            )
            for position, body in enumerate(bodies, start=self._position)
        )

    def _of_source(self, event_type: EventType, source: Source, at: int, body: dict[str, Any]) -> None:
        self._append(
            [
                Event(
                    id=new_id(),
                    type=event_type,
                    created=at,
                    position=self._position,
                    source_id=source.id,
                    source_collected_by=source.collected_by,
                    classes=document_classes(source.metadata),
                    body=body,
                )
            ]
        )

    def _append(self, events: Iterable[Event]) -> None:
        batch = list(events)
        self._position += len(batch)
        self._tx.append_events(batch)


def added_segments(event: Event) -> list[Segment]:
    """Return the Segments of a `flows/segments_added` event."""
    return [Segment(*fields) for fields in event.body["segments"]]


def _parts(segments: Sequence[Segment]) -> Iterator[list[Sequence[Any]]]:
    """Yield the Segments as lists of fields, at most `_MAX_SEGMENT_BYTES` in each part."""
    part: list[Sequence[Any]] = []
    size = 0
    for segment in segments:
        fields = list(segment)
        length = len(orjson.dumps(fields)) + 1
        if part and size + length > _MAX_SEGMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(fields)
        size += length
    yield part
