"""Sources: read, list, store and delete."""

from __future__ import annotations

from collections.abc import Collection

import orjson
from sqlalchemy import bindparam, delete, insert, select
from typing_extensions import override

from tams.domain.filters import SourceFilter, SourceOrder
from tams.domain.flows import Source
from tams.repository.codecs import decode_list, encode
from tams.repository.index import source_facets, source_filter, source_sort_texts
from tams.repository.port import Cursor, Page
from tams.repository.sql import listing
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.dialects import upsert
from tams.repository.sql.facets import digest_filter, facet_digests
from tams.repository.sql.tables import source_collectors, sources
from tams.repository.sql.tables import source_facets as facets

_COLUMNS = (
    sources.c.id,
    sources.c.document,
    sources.c.created,
    sources.c.updated,
    sources.c.implicit,
    sources.c.collection,
    sources.c.collected_by,
)

_RESOURCE = listing.Resource(sources, facets, "source_id", _COLUMNS, sources)

_BY_ID = select(*_COLUMNS).where(sources.c.id == bindparam("source_id"))
_PUT = upsert(sources)
_DELETE = delete(sources).where(sources.c.id == bindparam("source_id"))
_DELETE_FACETS = delete(facets).where(facets.c.source_id == bindparam("owner"))
_ADD_FACETS = insert(facets)
_FACET_ROW = ("source_id", "facet", "by_created", "by_updated", "by_label")
_DELETE_COLLECTORS = delete(source_collectors).where(source_collectors.c.source_id == bindparam("owner"))
_ADD_COLLECTORS = insert(source_collectors)


def _source(row: listing.Row) -> Source:
    return Source(
        row[0],
        orjson.loads(row[1]),
        row[2],
        row[3],
        bool(row[4]),
        decode_list(row[5]),
        decode_list(row[6]),
    )


class SourceReads(ReadPart):
    """Read and list Sources."""

    @override
    def source(self, source_id: str) -> Source | None:
        row = self._session.row(_BY_ID, {"source_id": source_id})
        return None if row is None else _source(row)

    @override
    def sources_by_id(self, source_ids: Collection[str]) -> dict[str, Source]:
        return {row[0]: _source(row) for row in listing.by_id(self._session, _RESOURCE, list(set(source_ids)))}

    @override
    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        filters = source_filter(where)
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
        )
        return Page([_source(row) for row in rows], cursor)


class SourceWrites(WritePart):
    """Store and delete Sources."""

    @override
    def put_source(self, source: Source) -> None:
        session = self._session
        sort_texts = source_sort_texts(source)
        session.run(
            _PUT,
            {
                "id": source.id,
                "document": encode(source.metadata),
                "created": source.created,
                "updated": source.updated,
                "implicit": source.implicit,
                "collection": encode(source.collection),
                "collected_by": encode(source.collected_by),
                **sort_texts,
            },
        )
        session.run(_DELETE_FACETS, {"owner": source.id})
        session.run_many(
            _ADD_FACETS,
            _FACET_ROW,
            [(source.id, digest, *sort_texts.values()) for digest in facet_digests(source_facets(source))],
        )
        session.run(_DELETE_COLLECTORS, {"owner": source.id})
        session.run_many(
            _ADD_COLLECTORS,
            ("source_id", "collector_id"),
            [(source.id, collector) for collector in set(source.collected_by)],
        )

    @override
    def delete_source(self, source_id: str) -> None:
        self._session.run(_DELETE, {"source_id": source_id})
