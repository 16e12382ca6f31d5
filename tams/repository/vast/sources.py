"""Sources: reading, listing, storing."""

from __future__ import annotations

from collections.abc import Collection

import orjson
from typing_extensions import override

from tams.domain.filters import SourceFilter, SourceOrder
from tams.domain.flows import Source
from tams.repository.codecs import decode_list
from tams.repository.index import source_facets, source_filter, source_sort_texts
from tams.repository.port import Cursor, Page
from tams.repository.vast import listing
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.facets import facet_terms, facets_column
from tams.repository.vast.predicates import equal
from tams.repository.vast.rows import encoded
from tams.repository.vast.tables import FLOWS, SOURCES, Row


class SourceReads(ReadPart):
    """Reads of Sources."""

    @override
    def source(self, source_id: str) -> Source | None:
        return self.sources_by_id([source_id]).get(source_id)

    @override
    def sources_by_id(self, source_ids: Collection[str]) -> dict[str, Source]:
        return {row["id"]: _source(row) for row in self._view.look_up(SOURCES, "id", source_ids)}

    @override
    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        predicates = facet_terms(source_filter(where))
        if predicates is None:
            return Page([], None)
        page = listing.page(self._view, SOURCES, f"by_{order}", predicates, reverse=reverse, after=after, limit=limit)
        return Page([_source(row) for row in page.items], page.next)


class SourceWrites(SourceReads, WritePart):
    """Writes of Sources."""

    @override
    def put_source(self, source: Source) -> None:
        self._require(f"source {source.id}")
        self._view.put(
            SOURCES,
            {
                "id": source.id,
                "document": encoded(source.metadata),
                "created": source.created,
                "updated": source.updated,
                "implicit": source.implicit,
                "collection": encoded(source.collection),
                "collected_by": encoded(source.collected_by),
                "facets": facets_column(source_facets(source)),
                **source_sort_texts(source),
            },
        )

    @override
    def delete_source(self, source_id: str) -> None:
        self._require(f"source {source_id}")
        predicates = [equal("source_id", source_id), equal("detached", False)]
        flows, _ = self._view.bounded(FLOWS, ("id",), predicates, 1)
        if flows:
            raise self._broken(f"Source {source_id} has Flows")
        self._view.remove(SOURCES, (source_id,))


def _source(row: Row) -> Source:
    return Source(
        row["id"],
        orjson.loads(row["document"]),
        row["created"],
        row["updated"],
        row["implicit"],
        decode_list(row["collection"]),
        decode_list(row["collected_by"]),
    )
