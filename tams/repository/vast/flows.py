"""Flows: reading, listing, storing, detaching and deleting."""

from __future__ import annotations

from collections.abc import Callable, Collection

import orjson
from typing_extensions import override

from tams.domain.filters import FlowFilter, FlowOrder
from tams.domain.flows import Flow
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange
from tams.repository.codecs import decode_list
from tams.repository.index import flow_facets, flow_filter, flow_sort_texts
from tams.repository.port import Cursor, Page
from tams.repository.vast import listing
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.facets import facet_terms, facets_column
from tams.repository.vast.predicates import Predicate, among, equal
from tams.repository.vast.rows import encoded
from tams.repository.vast.scan.ordered import earliest_start
from tams.repository.vast.tables import FLOWS, SEGMENTS, SOURCES, Row, RowKey

_ATTACHED = equal("detached", False)
_SAMPLE = 1000
"""Rows read at once when looking for any Segment of each of several Flows."""


class FlowReads(ReadPart):
    """Reads of Flows."""

    @override
    def flow(self, flow_id: str) -> Flow | None:
        return self.flows_by_id([flow_id]).get(flow_id)

    @override
    def flows_by_id(self, flow_ids: Collection[str]) -> dict[str, Flow]:
        return {row["id"]: _flow(row) for row in self._flow_rows(flow_ids)}

    @override
    def flow_of_key(self, flow_key: int) -> Flow | None:
        rows = self._view.look_up(FLOWS, "key", [flow_key])
        return next((_flow(row) for row in rows if not row["detached"]), None)

    @override
    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        predicates = facet_terms(flow_filter(where))
        if predicates is None:
            return Page([], None)
        predicates.append(_ATTACHED)
        passing: Callable[[list[RowKey]], set[RowKey]] | None = None
        if where.timerange is not None and where.timerange.is_empty:
            predicates.append(equal("segment_count", 0))
        elif where.timerange is not None:
            low = MIN_NS if where.timerange.start is None else where.timerange.start
            high = MAX_NS if where.timerange.end is None else where.timerange.end
            predicates += [Predicate("first_start", "<", high), Predicate("last_end", ">", low)]

            def passing(keys: list[RowKey]) -> set[RowKey]:
                return self._with_content(keys, low, high)

        page = listing.page(
            self._view, FLOWS, f"by_{order}", predicates, reverse=reverse, after=after, limit=limit, passing=passing
        )
        return Page([_flow(row) for row in page.items], page.next)

    def _flow_rows(self, flow_ids: Collection[str]) -> list[Row]:
        return [row for row in self._view.look_up(FLOWS, "id", flow_ids) if not row["detached"]]

    def _with_content(self, keys: list[RowKey], low: int, high: int) -> set[RowKey]:
        """Return the keys of the Flows that have a Segment in the range; the extent of each given Flow overlaps it."""
        rows = self._view.look_up(FLOWS, "key", [key[0] for key in keys])
        # A Flow that begins or ends inside the range has one. The others may have a gap there.
        flow_keys = {row["key"] for row in rows if low <= row["first_start"] or row["last_end"] <= high}
        open_keys = {row["key"]: row["longest"] for row in rows if row["key"] not in flow_keys}
        while open_keys:
            overlapping = [
                among("flow_key", open_keys),
                Predicate("start_ns", ">=", earliest_start(max(open_keys.values()), low)),
                Predicate("start_ns", "<", high),
                Predicate("end_ns", ">", low),
            ]
            segments, complete = self._view.bounded(SEGMENTS, (), overlapping, _SAMPLE)
            hits = {row["flow_key"] for row in segments}
            flow_keys |= hits
            open_keys = {key: longest for key, longest in open_keys.items() if key not in hits and not complete}
        return {key for key in keys if key[0] in flow_keys}


class FlowWrites(FlowReads, WritePart):
    """Writes of Flows."""

    @override
    def put_flow(self, flow: Flow) -> None:
        self._require(f"flow {flow.id}")
        before = next(iter(self._flow_rows([flow.id])), None)
        if before is not None and before["key"] != flow.flow_key:
            raise self._broken(f"Flow {flow.id} is stored under another key")
        if before is None or before["source_id"] != flow.source_id:
            self._require(f"source {flow.source_id}")
            if not self._view.look_up(SOURCES, "id", [flow.source_id]):
                raise self._broken(f"Flow {flow.id} has no Source {flow.source_id}")
        row = {
            **(before or _WITHOUT_SEGMENTS),
            "key": flow.flow_key,
            "id": flow.id,
            "detached": False,
            "source_id": flow.source_id,
            "document": encoded(flow.metadata),
            "created": flow.created,
            "metadata_updated": flow.metadata_updated,
            "collected_by": encoded(flow.collected_by),
            "facets": facets_column(flow_facets(flow)),
            **flow_sort_texts(flow),
        }
        if row["segment_count"] == 0:
            row["segments_updated"] = flow.segments_updated
        if before is None:
            # The key is random, so it is not stored yet.
            self._view.add(FLOWS, row)
        else:
            self._view.put(FLOWS, row)

    @override
    def delete_flow(self, flow_id: str) -> None:
        self._require(f"flow {flow_id}")
        for row in self._flow_rows([flow_id]):
            if row["segment_count"]:
                raise self._broken(f"Flow {flow_id} has Segments")
            self._require(f"source {row['source_id']}")
            self._view.remove(FLOWS, (row["key"],))

    @override
    def detach_flow(self, flow_id: str) -> None:
        self._require(f"flow {flow_id}")
        for row in self._flow_rows([flow_id]):
            self._require(f"source {row['source_id']}")
            self._view.put(FLOWS, {**row, "detached": True})

    @override
    def end_flow_key(self, flow_key: int) -> None:
        for row in self._view.look_up(FLOWS, "key", [flow_key]):
            self._require(f"flow {row['id']}")
            if row["segment_count"]:
                raise self._broken(f"the Flow key {flow_key} has Segments")
            self._view.remove(FLOWS, (flow_key,))


_WITHOUT_SEGMENTS: Row = {
    "segments_updated": None,
    "segment_count": 0,
    "init_count": 0,
    "first_start": None,
    "last_end": None,
    "last_closed": None,
    "longest": 0,
    "sketch": "[]",
}


def _flow(row: Row) -> Flow:
    start, end = row["first_start"], row["last_end"]
    return Flow(
        row["id"],
        row["key"],
        row["source_id"],
        orjson.loads(row["document"]),
        row["created"],
        row["metadata_updated"],
        decode_list(row["collected_by"]),
        row["segments_updated"],
        None if start is None else TimeRange(start, end, row["last_closed"]),
        row["segment_count"],
    )
