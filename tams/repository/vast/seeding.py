"""Segments that no request brought, by the million, for tests of size: like those of `repository.sql.seeding`.

Each is a second long, on an Object of its own with one instance in a Storage Backend, whose bytes nobody ever stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from tams.domain.errors import IntegrityBroken, NotFound
from tams.domain.flows import Flow
from tams.domain.identifiers import new_id
from tams.domain.objects import Instance, Object
from tams.domain.segments import Segment
from tams.domain.timerange import NANOSECONDS, TimeRange
from tams.repository.seed_batches import portions
from tams.repository.vast.connection import Address
from tams.repository.vast.objects import object_row
from tams.repository.vast.predicates import Term
from tams.repository.vast.repository import VastRepository
from tams.repository.vast.segments import grown, segment_row
from tams.repository.vast.tables import FLOWS, OBJECTS, SEGMENTS, STORAGE_KEYS

if TYPE_CHECKING:
    from tams.repository.port import Write
    from tams.repository.vast.transaction import VastWrite

_BATCH = 5000
"""Segments in a transaction: a few seconds of a slow cluster, and some megabytes of memory here."""


def add_segments(address: Address, flow_ids: Sequence[str], count: int, storage_id: str, now: int) -> Iterator[int]:
    """Add so many Segments behind the last of each of the Flows; yields after each transaction how many it has added.

    `now` in microseconds. `NotFound` without the Flow. `IntegrityBroken` where Objects of Segments that were made
    before and deleted are still in use.
    """
    repository = VastRepository(address)
    try:
        for parts in portions(flow_ids, count, _BATCH):

            def transact(tx: Write, parts: Sequence[tuple[str, int]] = parts) -> None:
                tx.claim(*(("flow", flow_id) for flow_id, _ in parts))
                for flow_id, batch in parts:
                    _add(cast("VastWrite", tx), tx.flow(flow_id), batch, storage_id, now)

            repository.write(new_id(), transact)
            yield sum(batch for _, batch in parts)
    finally:
        repository.close()


def _add(tx: VastWrite, flow: Flow | None, count: int, storage_id: str, now: int) -> None:
    if flow is None:
        raise NotFound("there is no such Flow any more")
    last = None if flow.extent is None else flow.extent.end
    first = 0 if last is None else -(-last // NANOSECONDS)
    view, at = tx._view, flow.next_change(now)
    segments = []
    # No lock for each Object: nobody else makes ids that begin with the key of this Flow.
    ends = (_object_id(flow, first), _object_id(flow, first + count - 1))
    if view.bounded(OBJECTS, (), [Term("id", ">=", ends[0]), Term("id", "<=", ends[1])], 1)[0]:
        raise IntegrityBroken(f"Objects from {ends[0]} on are there already")
    for n in range(first, first + count):
        timerange = TimeRange(n * NANOSECONDS, (n + 1) * NANOSECONDS, False)
        object_id = _object_id(flow, n)
        # The key has the form of those of `LocalStorage`.
        key = f"5ee/00000{flow.flow_key:016x}{n:016x}"
        made = Object(
            object_id,
            at,
            (Instance(storage_id, key, 0, None, None, True),),
            content_type=flow.metadata.get("container"),
            kind="media",
            registered=at,
            timerange=timerange,
            first_flow_id=flow.id,
        )
        segment = Segment(
            n * NANOSECONDS,
            (n + 1) * NANOSECONDS,
            False,
            object_id,
            ts_offset=None,
            last_duration=None,
            sample_offset=None,
            sample_count=25,
            object_start=n * NANOSECONDS,
            object_end=(n + 1) * NANOSECONDS,
            object_closed=False,
            key_frame_count=None,
            init_object_id=None,
            registered=at,
        )
        segments.append(segment)
        view.add(OBJECTS, object_row(made))
        view.add(STORAGE_KEYS, {"storage_id": storage_id, "storage_key": key, "object_id": object_id})
        view.add(SEGMENTS, segment_row(flow.flow_key, segment))
    (row,) = view.look_up(FLOWS, "key", [flow.flow_key])
    view.put(FLOWS, grown(row, segments))


def _object_id(flow: Flow, n: int) -> str:
    return f"{flow.flow_key:016x}-{n:016x}"
