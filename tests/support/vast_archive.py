"""Flows with millions of Segments, loaded into the emulator in bulk, with the rows that registrations would store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tams.domain.flows import Flow
from tams.domain.timerange import ETERNITY, NANOSECONDS, TimeRange
from tams.repository.vast import VastRepository
from tams.repository.vast.connection import Cluster
from tams.repository.vast.predicates import equal
from tams.repository.vast.scan import density
from tams.repository.vast.tables import FLOWS, OBJECTS, SEGMENTS, Table
from tests.support.factories import STORAGE
from tests.support.repository_steps import new_flow
from tests.support.vast_clusters import SCHEMA, address_of, opened, url_of
from tools.vast_emulator.emulator import Emulator

BATCH = 1000
LIMIT = 100


class Costs(NamedTuple):
    """The cost of a page at the cluster."""

    requests: int
    rows_sent: int
    rows_looked_at: int


def load_flow(emulator: Emulator, repository: VastRepository, starts: Sequence[int], *, objects: bool = False) -> Flow:
    """Return a Flow with a Segment of one second at each start, as if registered a thousand at a time.

    `objects`: load an Object with one instance for each Segment too. The ids of the Objects are in the order of time.
    """
    flow = new_flow(repository)
    count = len(starts)
    # Without a Python object per row.
    seconds = np.arange(starts.start, starts.stop) if isinstance(starts, range) and starts.step == 1 else starts
    low = pa.array(seconds, type=pa.int64())
    first = pc.multiply(low, NANOSECONDS)
    end = pc.add(first, NANOSECONDS)
    number = pc.cast(low, pa.utf8())
    ids = pc.utf8_lpad(number, 10, padding="0") if objects else number
    false = pa.repeat(pa.scalar(False), count)
    _load(
        emulator,
        SEGMENTS,
        count,
        flow_key=pa.repeat(pa.scalar(flow.flow_key, pa.int64()), count),
        start_ns=first,
        end_ns=end,
        closed=false,
        object_id=ids,
        object_start=low,
        object_end=low,
        object_closed=false,
        registered=low,
    )
    if objects:
        before, after = f'[["{STORAGE}","', '",0,null,null,true]]'
        _load(
            emulator,
            OBJECTS,
            count,
            id=ids,
            created=low,
            kind=pa.repeat("media", count),
            registered=low,
            start_ns=first,
            end_ns=end,
            closed=false,
            first_flow_id=pa.repeat(flow.id, count),
            instances=pc.binary_join_element_wise(before, ids, after, ""),
        )
    _set_counts(emulator, flow, starts)
    return flow


def costs_of_pages(count: int) -> dict[str, Costs]:
    """Return the costs of pages of 100 Segments with their Objects, at several places in a Flow of `count` Segments."""
    middle = count // 2
    places = {
        "first": (ETERNITY, False, 0),
        "from the middle": (TimeRange(middle * NANOSECONDS, None), False, middle),
        "from before the end": (TimeRange((count - LIMIT) * NANOSECONDS, None), False, count - LIMIT),
        "last, backwards": (ETERNITY, True, count - 1),
        "from the middle backwards": (TimeRange(None, middle * NANOSECONDS), True, middle - 1),
        "from near the beginning backwards": (TimeRange(None, LIMIT * NANOSECONDS), True, LIMIT - 1),
        "a range": (TimeRange(middle * NANOSECONDS, (middle + 2 * LIMIT) * NANOSECONDS), False, middle),
    }
    with opened() as (emulator, repository):
        flow = load_flow(emulator, repository, range(count), objects=True)
        costs = {}
        # Once without counting, because this loads the metadata of the tables.
        _page(repository, flow, ETERNITY, False)
        for name, (within, reverse, begins) in places.items():
            with emulator.counting() as counts:
                starts = _page(repository, flow, within, reverse)
            step = -1 if reverse else 1
            assert starts == list(range(begins, begins + step * LIMIT, step)), name
            costs[name] = Costs(counts.total, counts.rows_sent, counts.rows_looked_at)
        return costs


def _page(repository: VastRepository, flow: Flow, within: TimeRange, reverse: bool) -> list[int]:
    """Return the seconds at which the Segments of a page start; check that each has an instance."""
    with repository.read() as snapshot:
        assert snapshot.flow(flow.id) is not None
        items = snapshot.segments(flow.flow_key, within, object_id=None, reverse=reverse, after=None, limit=LIMIT).items
        assert len(snapshot.instances({segment.object_id for segment in items})) == LIMIT
    return [segment.start // NANOSECONDS for segment in items]


def _load(emulator: Emulator, table: Table, count: int, **columns: pa.Array) -> None:
    arrays = [columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in table.columns]
    emulator.load(SCHEMA, table.name, pa.Table.from_arrays(arrays, schema=table.columns))


def _set_counts(emulator: Emulator, flow: Flow, starts: Sequence[int]) -> None:
    """Update the row of the Flow with the count, the extent and the density histogram of its Segments."""
    buckets: list[density.Bucket] = []
    for at in range(0, len(starts), BATCH):
        batch = [(start * NANOSECONDS, (start + 1) * NANOSECONDS) for start in starts[at : at + BATCH]]
        buckets = density.extend(buckets, batch)
    snapshot = Cluster(address_of(url_of(emulator.endpoint))).begin()
    (row,) = snapshot.rows(FLOWS, FLOWS.columns.names, [equal("key", flow.flow_key)], row_ids=True)
    row.update(
        segment_count=len(starts),
        first_start=starts[0] * NANOSECONDS,
        last_end=(starts[-1] + 1) * NANOSECONDS,
        last_closed=False,
        longest=NANOSECONDS,
        sketch=density.serialize(buckets),
    )
    snapshot.update(FLOWS, [(row["$row_id"], row)])
    snapshot.commit()
