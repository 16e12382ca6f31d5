"""Segments whose media never arrived, or are lost: in a Flow, and counted over the whole store.

A look at every Segment costs as much as the archive is large. So the count is that of the last comparison with the
backends (`tams storage reconcile`), which is kept as a document for each backend and read at constant cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from tams.domain.errors import NotFound
from tams.domain.objects import Instance
from tams.domain.segments import Segment
from tams.domain.timerange import ETERNITY
from tams.repository.port import Cursor, Document, Page, Write, pages
from tams.services.store import Store
from tams.services.unit_of_work import claim

KIND: Final = "comparison"
"""Kind of the documents of comparisons; the id is that of the Storage Backend."""

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of the last whole comparison of a Storage Backend with the database.

    `finished` is in microseconds. `stored` counts keys with bytes, `instances` those in the database, `orphans` keys
    that only the backend has and that were not deleted, `missing` instances without bytes, and `segments` the Segments
    that have no media in any other place either.
    """

    storage_id: str
    finished: int
    stored: int
    instances: int
    orphans: int
    missing: int
    segments: int


@dataclass(frozen=True, slots=True)
class SegmentWithoutMedia:
    """A Segment, and the ids of the Objects of its media whose bytes are nowhere."""

    segment: Segment
    object_ids: tuple[str, ...]


def keep(store: Store, comparison: Comparison) -> None:
    """Store the result of a comparison in place of the one before."""

    def transact(tx: Write) -> None:
        claim(tx, [("document", comparison.storage_id)])
        tx.put_document(Document(KIND, comparison.storage_id, asdict(comparison)))

    store.write(transact)


def last_comparisons(store: Store) -> list[Comparison]:
    """Return the last comparison of each backend that was compared, at a cost that does not grow with the archive."""
    with store.repository.read() as read:
        documents = [read.document(KIND, storage_id) for storage_id in store.storages]
    return [Comparison(**document.body) for document in documents if document is not None]


def segments_without_media(store: Store, flow_id: str) -> Iterator[SegmentWithoutMedia]:
    """Yield the Segments of the Flow whose media, or initialisation segment, are in no place. Reads page by page.

    Raise `NotFound` if the Flow does not exist, and `StorageError` if a backend does not answer.
    """
    with store.repository.read() as read:
        flow = read.flow(flow_id)
    if flow is None:
        raise NotFound(f"There is no Flow {flow_id}.")
    flow_key = flow.flow_key

    def page_after(after: Cursor | None) -> Page[Segment]:
        with store.repository.read() as read:
            return read.segments(flow_key, ETERNITY, object_id=None, reverse=False, after=after, limit=_PAGE)

    for segments in pages(page_after):
        object_ids = {object_id for segment in segments for object_id in _needed(segment)}
        with store.repository.read() as read:
            instances = read.instances(object_ids)
        absent = object_ids - with_media(store, instances)
        for segment in segments:
            missing = tuple(object_id for object_id in _needed(segment) if object_id in absent)
            if missing:
                yield SegmentWithoutMedia(segment, missing)


def with_media(store: Store, instances: Mapping[str, Collection[Instance]]) -> set[str]:
    """Return the ids of the Objects that have bytes in a Storage Backend, or an instance elsewhere.

    Each backend is asked once. Bytes outside the Storage Backends are not looked for.

    Raises:
        StorageError: a backend does not answer.
    """
    present: set[str] = set()
    keys: dict[str, dict[str, str]] = {}
    for object_id, places in instances.items():
        for instance in places:
            if instance.storage_id is None:
                present.add(object_id)
            elif instance.storage_key is not None and instance.ready and instance.storage_id in store.storages:
                keys.setdefault(instance.storage_id, {})[instance.storage_key] = object_id
    for storage_id, object_ids in keys.items():
        present |= {object_ids[key] for key in store.storages[storage_id].with_bytes(object_ids)}
    return present


def _needed(segment: Segment) -> tuple[str, ...]:
    init = segment.init_object_id
    return (segment.object_id,) if init is None else (segment.object_id, init)
