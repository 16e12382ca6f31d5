"""Small JSON documents, listed by their keys."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from typing_extensions import override

from tams.domain.filters import NO_TAGS, TagFilter
from tams.repository.index import document_facets, document_filter
from tams.repository.port import Cursor, Document, Page
from tams.repository.vast.base import ReadPart, WritePart
from tams.repository.vast.facets import facet_terms, facets_column
from tams.repository.vast.predicates import equal
from tams.repository.vast.rows import encoded
from tams.repository.vast.tables import DOCUMENTS, Row


class DocumentReads(ReadPart):
    """What can be asked about documents."""

    @override
    def document(self, kind: str, document_id: str) -> Document | None:
        row = self._document_row(kind, document_id)
        return None if row is None else _document(row)

    @override
    def list_documents(
        self,
        kind: str,
        *,
        order: str,
        where: Mapping[str, str],
        reverse: bool,
        after: Cursor | None,
        limit: int,
        tags: TagFilter = NO_TAGS,
    ) -> Page[Document]:
        # The cursor is the last value of the key `order`. There are few documents of a kind: this reads the keys of all
        # that match, and the documents of the page.
        predicates = facet_terms(document_filter(where, tags))
        if predicates is None:
            return Page([], None)
        places = []
        for row in self._view.select(DOCUMENTS, ("listed_by",), [equal("kind", kind), *predicates]):
            place = orjson.loads(row["listed_by"]).get(order)
            if place is not None and (after is None or (place < after if reverse else place > after)):
                places.append((place, row["id"]))
        places.sort(reverse=reverse)
        shown = places[:limit]
        rows = self._view.look_up(DOCUMENTS, "id", [document_id for _, document_id in shown])
        found = {row["id"]: row for row in rows if row["kind"] == kind}
        return Page(
            [_document(found[document_id]) for _, document_id in shown], shown[-1][0] if len(places) > limit else None
        )

    def _document_row(self, kind: str, document_id: str) -> Row | None:
        rows = self._view.look_up(DOCUMENTS, "id", [document_id])
        return next((row for row in rows if row["kind"] == kind), None)


class DocumentWrites(DocumentReads, WritePart):
    """What can be done to documents."""

    @override
    def put_document(self, document: Document) -> None:
        self._require(f"document {document.id}")
        self._view.put(
            DOCUMENTS,
            {
                "kind": document.kind,
                "id": document.id,
                "body": encoded(document.body),
                "listed_by": encoded(dict(document.keys)),
                "tags": encoded(document.tags),
                "facets": facets_column(document_facets(document)),
            },
        )

    @override
    def delete_document(self, kind: str, document_id: str) -> bool:
        self._require(f"document {document_id}")
        there = self._document_row(kind, document_id) is not None
        if there:
            self._view.remove(DOCUMENTS, (kind, document_id))
        return there


def _document(row: Row) -> Document:
    return Document(
        row["kind"], row["id"], orjson.loads(row["body"]), orjson.loads(row["listed_by"]), orjson.loads(row["tags"])
    )
