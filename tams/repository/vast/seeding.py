"""Creation of millions of Segments without requests, for tests of size: like those of `repository.sql.seeding`.

Each Segment is one second long and has its own Object with one instance in a Storage Backend. The bytes do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from tams.domain.errors import IntegrityBroken
from tams.domain.identifiers import new_id
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import NANOSECONDS, TimeRange
from tams.repository.seed_batches import SAMPLES_PER_SEGMENT, SeedBatch, seed_batch, seed_batches
from tams.repository.vast.objects import object_row
from tams.repository.vast.predicates import Predicate
from tams.repository.vast.repository import VastRepository
from tams.repository.vast.segments import extended_flow_row, segment_row
from tams.repository.vast.sessions import Address
from tams.repository.vast.tables import FLOWS, OBJECTS, SEGMENTS, STORAGE_KEYS

if TYPE_CHECKING:
    from tams.repository.port import Write
    from tams.repository.vast.transaction import VastWrite

_BATCH = 5000
"""Segments per transaction: it takes a slow cluster a few seconds, and this process some megabytes of memory."""


def add_segments(address: Address, flow_ids: Sequence[str], count: int, storage_id: str, now: int) -> Iterator[int]:
    """Add `count` Segments after the last one of each Flow; yield the number added by each transaction.

    `now` is in microseconds.

    Raises:
        NotFound: a Flow does not exist.
        IntegrityBroken: Objects of seeded Segments that were deleted still exist.
    """
    repository = VastRepository(address)
    try:
        for parts in seed_batches(flow_ids, count, _BATCH):

            def transact(tx: Write, parts: Sequence[tuple[str, int]] = parts) -> None:
                tx.claim(*(("flow", flow_id) for flow_id, _ in parts))
                for flow_id, size in parts:
                    _add(cast("VastWrite", tx), seed_batch(tx.flow(flow_id), size, now), storage_id)

            repository.write(new_id(), transact)
            yield sum(size for _, size in parts)
    finally:
        repository.close()


def _add(tx: VastWrite, batch: SeedBatch, storage_id: str) -> None:
    view, flow = tx._view, batch.flow
    segments = []
    # No lock per Object: no other writer uses ids that begin with the key of this Flow.
    ends = (_object_id(batch, batch.first), _object_id(batch, batch.end - 1))
    if view.bounded(OBJECTS, (), [Predicate("id", ">=", ends[0]), Predicate("id", "<=", ends[1])], 1)[0]:
        raise IntegrityBroken(f"Objects from {ends[0]} on are there already")
    for n in range(batch.first, batch.end):
        start, end = n * NANOSECONDS, (n + 1) * NANOSECONDS
        object_id = _object_id(batch, n)
        storage_key = f"{batch.storage_key_prefix}{n:016x}"
        media_object = Object(
            object_id,
            batch.moment,
            (Instance(storage_id, storage_key, 0, None, None, True),),
            content_type=flow.metadata.get("container"),
            kind="media",
            registered=batch.moment,
            timerange=TimeRange(start, end, False),
            first_flow_id=flow.id,
        )
        segment = Segment(
            start,
            end,
            False,
            object_id,
            ts_offset=None,
            last_duration=None,
            sample_offset=None,
            sample_count=SAMPLES_PER_SEGMENT,
            object_start=start,
            object_end=end,
            object_closed=False,
            key_frame_count=None,
            init_object_id=None,
            registered=batch.moment,
        )
        segments.append(segment)
        view.add(OBJECTS, object_row(media_object))
        view.add(STORAGE_KEYS, {"storage_id": storage_id, "storage_key": storage_key, "object_id": object_id})
        view.add(SEGMENTS, segment_row(flow.flow_key, segment))
    (row,) = view.look_up(FLOWS, "key", [flow.flow_key])
    view.put(FLOWS, extended_flow_row(row, segments))


def _object_id(batch: SeedBatch, n: int) -> str:
    return f"{batch.prefix}-{n:016x}"
