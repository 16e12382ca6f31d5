"""Sources: reading, listing, storing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import orjson
from sqlalchemy import bindparam, delete, insert, select

from tams.domain.filters import SourceFilter, SourceOrder
from tams.domain.flows import Source
from tams.domain.sort_keys import alphabetical, newest_first
from tams.repository.port import Cursor, Page
from tams.repository.sql import listing
from tams.repository.sql.dialects import upsert
from tams.repository.sql.engine import Session
from tams.repository.sql.facets import collected_by_facets, facet, tag_facets, wanted
from tams.repository.sql.rows import encoded, texts_of
from tams.repository.sql.tables import source_collectors, source_facets, sources

_COLUMNS = (
    sources.c.id,
    sources.c.document,
    sources.c.created,
    sources.c.updated,
    sources.c.implicit,
    sources.c.collection,
    sources.c.collected_by,
)

_RESOURCE = listing.Resource(sources, source_facets, "source_id", _COLUMNS, sources)

_BY_ID = select(*_COLUMNS).where(sources.c.id == bindparam("source_id"))
_PUT = upsert(sources)
_DELETE = delete(sources).where(sources.c.id == bindparam("source_id"))
_DELETE_FACETS = delete(source_facets).where(source_facets.c.source_id == bindparam("owner"))
_ADD_FACETS = insert(source_facets)
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
        () if row[5] == "[]" else tuple(orjson.loads(row[5])),
        texts_of(row[6]),
    )


class SourceReads:
    """What can be asked about Sources."""

    _session: Session

    def source(self, source_id: str) -> Source | None:
        """The Source."""
        row = self._session.row(_BY_ID, {"source_id": source_id})
        return None if row is None else _source(row)

    def sources_by_id(self, source_ids: Collection[str]) -> dict[str, Source]:
        """Those of the Sources that exist."""
        return {row[0]: _source(row) for row in listing.by_id(self._session, _RESOURCE, list(set(source_ids)))}

    def list_sources(
        self, where: SourceFilter, *, order: SourceOrder, reverse: bool, after: Cursor | None, limit: int
    ) -> Page[Source]:
        """A page of Sources."""
        filters = wanted({"label": where.label, "format": where.format}, where.tags, where.collected_by)
        rows, cursor = listing.page(self._session, _RESOURCE, filters, order, reverse, after, limit)
        return Page([_source(row) for row in rows], cursor)


class SourceWrites:
    """What can be done to Sources."""

    _session: Session

    def put_source(self, source: Source) -> None:
        """Store the Source, new or changed."""
        session = self._session
        orders = {
            "by_created": newest_first(source.created, source.id),
            "by_updated": newest_first(source.updated, source.id),
            "by_label": alphabetical(source.metadata.get("label"), source.id),
        }
        session.run(
            _PUT,
            {
                "id": source.id,
                "document": encoded(source.metadata),
                "created": source.created,
                "updated": source.updated,
                "implicit": source.implicit,
                "collection": encoded(source.collection),
                "collected_by": encoded(source.collected_by),
                **orders,
            },
        )
        session.run(_DELETE_FACETS, {"owner": source.id})
        session.run_many(
            _ADD_FACETS, _FACET_ROW, [(source.id, each, *orders.values()) for each in set(_facets(source))]
        )
        session.run(_DELETE_COLLECTORS, {"owner": source.id})
        session.run_many(
            _ADD_COLLECTORS,
            ("source_id", "collector_id"),
            [(source.id, collector) for collector in set(source.collected_by)],
        )

    def delete_source(self, source_id: str) -> None:
        """Remove it. `IntegrityBroken` while it has Flows."""
        self._session.run(_DELETE, {"source_id": source_id})


def _facets(source: Source) -> Iterator[bytes]:
    for name in ("label", "format"):
        value = source.metadata.get(name)
        if value is not None:
            yield facet(name, value)
    yield from tag_facets(source.metadata.get("tags") or {})
    yield from collected_by_facets(source.collected_by)
