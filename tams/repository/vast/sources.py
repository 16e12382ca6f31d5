"""Sources: reading, listing, storing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import orjson

from tams.domain.filters import SourceFilter, SourceOrder
from tams.domain.flows import Source
from tams.domain.sort_keys import alphabetical, newest_first
from tams.repository.port import Cursor, Page
from tams.repository.vast import listing
from tams.repository.vast.base import Reads, Writes
from tams.repository.vast.facets import collected_by_facets, column, facet, tag_facets, wanted
from tams.repository.vast.predicates import equal
from tams.repository.vast.rows import encoded, texts_of
from tams.repository.vast.tables import FLOWS, SOURCES, Row


class SourceReads(Reads):
    """What can be asked about Sources."""

    def source(self, source_id: str) -> Source | None:
        """The Source."""
        return self.sources_by_id([source_id]).get(source_id)

    def sources_by_id(self, source_ids: Collection[str]) -> dict[str, Source]:
        """Those of the Sources that exist."""
        return {row["id"]: _source(row) for row in self._view.look_up(SOURCES, "id", source_ids)}

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""
        terms = wanted({"label": where.label, "format": where.format}, where.tags, where.collected_by)
        if terms is None:
            return Page([], None)
        found = listing.page(self._view, SOURCES, f"by_{order}", terms, reverse=reverse, after=after, limit=limit)
        return Page([_source(row) for row in found.items], found.next)


class SourceWrites(SourceReads, Writes):
    """What can be done to Sources."""

    def put_source(self, source: Source) -> None:
        """Store the Source, new or changed."""
        self._needs(f"source {source.id}")
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
                "facets": column(_facets(source)),
                "by_created": newest_first(source.created, source.id),
                "by_updated": newest_first(source.updated, source.id),
                "by_label": alphabetical(source.metadata.get("label"), source.id),
            },
        )

    def delete_source(self, source_id: str) -> None:
        """Remove it. `IntegrityBroken` while it has Flows."""
        self._needs(f"source {source_id}")
        terms = [equal("source_id", source_id), equal("detached", False)]
        flows, _ = self._view.bounded(FLOWS, ("id",), terms, 1)
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
        () if row["collection"] == "[]" else tuple(orjson.loads(row["collection"])),
        texts_of(row["collected_by"]),
    )


def _facets(source: Source) -> Iterator[str]:
    for name in ("label", "format"):
        value = source.metadata.get(name)
        if value is not None:
            yield facet(name, value)
    yield from tag_facets(source.metadata.get("tags") or {})
    yield from collected_by_facets(source.collected_by)
