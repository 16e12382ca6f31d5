"""Flows: read, list, store, detach and delete."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import ColumnElement, bindparam, delete, insert, select
from typing_extensions import override

from tams.domain.errors import IntegrityBroken
from tams.domain.filters import FlowFilter, FlowOrder
from tams.domain.flows import Flow
from tams.domain.timerange import MAX_NS, MIN_NS, TimeRange
from tams.repository.codecs import decode_list, encode
from tams.repository.index import flow_facets, flow_filter, flow_sort_texts
from tams.repository.port import Cursor, Page
from tams.repository.sql import listing
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.dialects import upsert
from tams.repository.sql.facets import digest_filter, facet_digests
from tams.repository.sql.tables import flow_collectors, flow_keys, flows, segments
from tams.repository.sql.tables import flow_facets as facets


def _edge(column: ColumnElement[Any], *, last: bool) -> ColumnElement[Any]:
    """Return a column of the first or last Segment of a Flow."""
    start = segments.c.start_ns
    return (
        select(column)
        .where(segments.c.flow_key == flows.c.key)
        .order_by(start.desc() if last else start)
        .limit(1)
        .correlate(flows)
        .scalar_subquery()
    )


_COLUMNS: tuple[ColumnElement[Any], ...] = (
    flows.c.id,
    flows.c.key,
    flows.c.source_id,
    flows.c.document,
    flows.c.created,
    flows.c.metadata_updated,
    flows.c.collected_by,
    flow_keys.c.segments_updated,
    flow_keys.c.segment_count,
    _edge(segments.c.start_ns, last=False),
    _edge(segments.c.end_ns, last=True),
    _edge(segments.c.closed, last=True),
)

_RESOURCE = listing.Resource(flows, facets, "flow_id", _COLUMNS, flows.join(flow_keys, flow_keys.c.key == flows.c.key))

_BY_ID = select(*_COLUMNS).select_from(_RESOURCE.source).where(flows.c.id == bindparam("flow_id"))
_BY_KEY = select(*_COLUMNS).select_from(_RESOURCE.source).where(flows.c.key == bindparam("flow_key"))

# Segments of a Flow do not overlap, so the last of those that start before the end of the timerange also ends last. It
# alone decides whether one overlaps the timerange.
_HAS_CONTENT = select(segments.c.end_ns).where(
    segments.c.flow_key == flows.c.key, segments.c.start_ns < bindparam("before")
).order_by(segments.c.start_ns.desc()).limit(1).correlate(flows).scalar_subquery() > bindparam("beyond")
_HAS_NO_CONTENT = flow_keys.c.segment_count == 0

_PUT_KEY = upsert(flow_keys, update=["segments_updated"], where=flow_keys.c.segment_count == 0)
_PUT = upsert(flows, where=flows.c.key == bindparam("same_key"))
_DELETE = delete(flows).where(flows.c.id == bindparam("flow_id")).returning(flows.c.key)
_DELETE_KEY = delete(flow_keys).where(flow_keys.c.key == bindparam("flow_key"))
_DELETE_FACETS = delete(facets).where(facets.c.flow_id == bindparam("owner"))
_ADD_FACETS = insert(facets)
_FACET_ROW = ("flow_id", "facet", "by_created", "by_metadata_updated", "by_label")
_DELETE_COLLECTORS = delete(flow_collectors).where(flow_collectors.c.flow_id == bindparam("owner"))
_ADD_COLLECTORS = insert(flow_collectors)


def _flow(row: listing.Row) -> Flow:
    start, end = row[9], row[10]
    return Flow(
        row[0],
        row[1],
        row[2],
        orjson.loads(row[3]),
        row[4],
        row[5],
        decode_list(row[6]),
        row[7],
        None if start is None else TimeRange(start, end, bool(row[11])),
        row[8],
    )


class FlowReads(ReadPart):
    """Read and list Flows."""

    @override
    def flow(self, flow_id: str) -> Flow | None:
        row = self._session.row(_BY_ID, {"flow_id": flow_id})
        return None if row is None else _flow(row)

    @override
    def flows_by_id(self, flow_ids: Collection[str]) -> dict[str, Flow]:
        return {row[0]: _flow(row) for row in listing.by_id(self._session, _RESOURCE, list(set(flow_ids)))}

    @override
    def flow_of_key(self, flow_key: int) -> Flow | None:
        row = self._session.row(_BY_KEY, {"flow_key": flow_key})
        return None if row is None else _flow(row)

    @override
    def list_flows(
        self, where: FlowFilter, *, order: FlowOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Flow]:
        condition: ColumnElement[bool] | None = None
        parameters: dict[str, int] = {}
        if where.timerange is not None:
            if where.timerange.is_empty:
                condition = _HAS_NO_CONTENT
            else:
                start, end = where.timerange.start, where.timerange.end
                condition = _HAS_CONTENT
                parameters = {
                    "before": MAX_NS if end is None else end,
                    "beyond": MIN_NS if start is None else start,
                }
        filters = flow_filter(where)
        if filters.matches_nothing:
            return Page([], None)
        rows, cursor = listing.page(
            self._session,
            _RESOURCE,
            digest_filter(filters),
            order=order,
            reverse=reverse,
            after=after,
            limit=limit,
            condition=condition,
            parameters=parameters,
        )
        return Page([_flow(row) for row in rows], cursor)


class FlowWrites(WritePart):
    """Store, detach and delete Flows."""

    @override
    def put_flow(self, flow: Flow) -> None:
        session = self._session
        sort_texts = flow_sort_texts(flow)
        session.run(
            _PUT_KEY,
            {"key": flow.flow_key, "segment_count": 0, "init_count": 0, "segments_updated": flow.segments_updated},
        )
        stored = session.run(
            _PUT,
            {
                "id": flow.id,
                "key": flow.flow_key,
                "same_key": flow.flow_key,
                "source_id": flow.source_id,
                "document": encode(flow.metadata),
                "created": flow.created,
                "metadata_updated": flow.metadata_updated,
                "collected_by": encode(flow.collected_by),
                **sort_texts,
            },
        )
        if not stored:
            raise IntegrityBroken(f"Flow {flow.id} is stored under another Flow key.")
        session.run(_DELETE_FACETS, {"owner": flow.id})
        session.run_many(
            _ADD_FACETS,
            _FACET_ROW,
            [(flow.id, digest, *sort_texts.values()) for digest in facet_digests(flow_facets(flow))],
        )
        session.run(_DELETE_COLLECTORS, {"owner": flow.id})
        session.run_many(
            _ADD_COLLECTORS,
            ("flow_id", "collector_id"),
            [(flow.id, collector) for collector in set(flow.collected_by)],
        )

    @override
    def delete_flow(self, flow_id: str) -> None:
        for row in self._session.returning(_DELETE, {"flow_id": flow_id}):
            self.end_flow_key(row[0])

    @override
    def detach_flow(self, flow_id: str) -> None:
        self._session.returning(_DELETE, {"flow_id": flow_id})

    @override
    def end_flow_key(self, flow_key: int) -> None:
        self._session.run(_DELETE_KEY, {"flow_key": flow_key})
