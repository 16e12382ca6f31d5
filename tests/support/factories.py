"""Complete and valid domain values for tests; a test gives only the fields that matter to it."""

from __future__ import annotations

from typing import Any

from tams.domain.events import Event
from tams.domain.flows import Flow, Metadata, Source
from tams.domain.identifiers import new_id, new_key
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import NANOSECONDS, TimeRange

VIDEO = "urn:x-nmos:format:video"
SECOND = NANOSECONDS
STORAGE = "5a1ed1ff-0000-4000-8000-000000000001"
START_OF_2026 = 1_767_225_600_000_000


def uuid() -> str:
    """Return a new id."""
    return new_id()


def seconds(start: float, end: float) -> TimeRange:
    """Return the timerange `[start, end)`, given in seconds."""
    return TimeRange(int(start * SECOND), int(end * SECOND))


def source(
    source_id: str | None = None,
    *,
    created: int = START_OF_2026,
    updated: int | None = None,
    implicit: bool = False,
    collection: tuple[Metadata, ...] = (),
    collected_by: tuple[str, ...] = (),
    **document: Any,
) -> Source:
    """Return a video Source; keywords beyond its own fields go into the document."""
    source_id = source_id or uuid()
    return Source(
        source_id,
        {"id": source_id, "format": VIDEO, **document},
        created,
        created if updated is None else updated,
        implicit,
        collection,
        collected_by,
    )


def flow(
    flow_id: str | None = None,
    *,
    source_id: str,
    key: int | None = None,
    created: int = START_OF_2026,
    metadata_updated: int | None = None,
    collected_by: tuple[str, ...] = (),
    segments_updated: int | None = None,
    **document: Any,
) -> Flow:
    """Return a video Flow without Segments; keywords beyond its own fields go into the document."""
    flow_id = flow_id or uuid()
    return Flow(
        flow_id,
        new_key() if key is None else key,
        source_id,
        {
            "id": flow_id,
            "source_id": source_id,
            "format": VIDEO,
            "codec": "video/h264",
            "container": "video/mp2t",
            "essence_parameters": {
                "frame_width": 1920,
                "frame_height": 1080,
                "frame_rate": {"numerator": 25, "denominator": 1},
            },
            **document,
        },
        created,
        created if metadata_updated is None else metadata_updated,
        collected_by,
        segments_updated,
    )


def instance(key: str | None = None, *, storage_id: str = STORAGE, put_until: int = 0) -> Instance:
    """Return an instance of an Object: a copy in a Storage Backend."""
    return Instance(storage_id=storage_id, storage_key=key or f"media/{uuid()}", put_until=put_until)


def allocation(object_id: str | None = None, *, to: int, created: int = START_OF_2026) -> Object:
    """Return an Object that was allocated to the Flow with the key `to` and is not registered."""
    return Object(object_id or uuid(), created, (instance(),), allocated_to=to)


def media_object(
    object_id: str | None = None,
    *,
    timerange: TimeRange | None = None,
    init_object_id: str | None = None,
    instances: tuple[Instance, ...] | None = None,
    registered: int = START_OF_2026,
    **fields: Any,
) -> Object:
    """Return a registered Object of one second."""
    return Object(
        object_id or uuid(),
        fields.pop("created", registered),
        (instance(),) if instances is None else instances,
        content_type="video/mp2t",
        kind="media",
        registered=registered,
        timerange=seconds(0, 1) if timerange is None else timerange,
        init_object_id=init_object_id,
        **fields,
    )


def init_object(object_id: str | None = None, *, registered: int = START_OF_2026) -> Object:
    """Return a registered initialisation Object."""
    return Object(object_id or uuid(), registered, (instance(),), kind="init", registered=registered)


def segment(
    timerange: TimeRange,
    of: Object | str,
    *,
    registered: int = START_OF_2026,
    init_object_id: str | None = None,
    **fields: Any,
) -> Segment:
    """Return a Segment that uses a whole Object, whose timeline is the Flow's."""
    assert timerange.start is not None
    assert timerange.end is not None
    return Segment(
        start=timerange.start,
        end=timerange.end,
        closed=timerange.closed,
        object_id=of if isinstance(of, str) else of.id,
        ts_offset=fields.get("ts_offset"),
        last_duration=fields.get("last_duration"),
        sample_offset=fields.get("sample_offset"),
        sample_count=fields.get("sample_count"),
        object_start=fields.get("object_start", timerange.start),
        object_end=fields.get("object_end", timerange.end),
        object_closed=fields.get("object_closed", timerange.closed),
        key_frame_count=fields.get("key_frame_count"),
        init_object_id=init_object_id if isinstance(of, str) else of.init_object_id,
        registered=registered,
    )


def event(event_id: str | None = None, *, created: int = START_OF_2026, position: int = 0, **fields: Any) -> Event:
    """Return an event: by default, that the Source `s` was deleted."""
    fields = {"type": "sources/deleted", "source_id": "s", **fields}
    return Event(event_id or uuid(), created=created, position=position, **fields)
