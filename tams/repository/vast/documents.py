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
    """Reads of documents."""

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
        positions = []
        for row in self._view.select(DOCUMENTS, ("listed_by",), [equal("kind", kind), *predicates]):
            value = orjson.loads(row["listed_by"]).get(order)
            if value is not None and (after is None or (value < after if reverse else value > after)):
                positions.append((value, row["id"]))
        positions.sort(reverse=reverse)
        page = positions[:limit]
        rows = self._view.look_up(DOCUMENTS, "id", [document_id for _, document_id in page])
        by_id = {row["id"]: row for row in rows if row["kind"] == kind}
        return Page(
            [_document(by_id[document_id]) for _, document_id in page], page[-1][0] if len(positions) > limit else None
        )

    def _document_row(self, kind: str, document_id: str) -> Row | None:
        rows = self._view.look_up(DOCUMENTS, "id", [document_id])
        return next((row for row in rows if row["kind"] == kind), None)


class DocumentWrites(DocumentReads, WritePart):
    """Writes of documents."""

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
        exists = self._document_row(kind, document_id) is not None
        if exists:
            self._view.remove(DOCUMENTS, (kind, document_id))
        return exists


def _document(row: Row) -> Document:
    return Document(
        row["kind"], row["id"], orjson.loads(row["body"]), orjson.loads(row["listed_by"]), orjson.loads(row["tags"])
    )
