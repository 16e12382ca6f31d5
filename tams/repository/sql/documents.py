"""Small JSON documents: read, list by their keys, store and delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Executable, bindparam, delete, exists, insert, literal_column, select
from typing_extensions import override

from tams.domain.filters import NO_TAGS, TagFilter
from tams.repository.codecs import encode
from tams.repository.index import document_facets, document_filter, facet
from tams.repository.port import Cursor, Document, Page
from tams.repository.sql.base import ReadPart, WritePart
from tams.repository.sql.dialects import upsert
from tams.repository.sql.facets import (
    DigestFilter,
    FacetShape,
    digest_filter,
    facet_digest,
    facet_digests,
    filtered,
)
from tams.repository.sql.tables import document_keys, documents

_COLUMNS = (documents.c.id, documents.c.body, documents.c.listed_by, documents.c.tags)
_ONE = (documents.c.kind == bindparam("of_kind"), documents.c.id == bindparam("document_id"))
_KEYS_OF_ONE = (document_keys.c.kind == bindparam("of_kind"), document_keys.c.id == bindparam("document_id"))

_GET = select(*_COLUMNS).where(*_ONE)
_PUT = upsert(documents)
_DELETE = delete(documents).where(*_ONE)
_DELETE_KEYS = delete(document_keys).where(*_KEYS_OF_ONE)
_ADD_KEYS = insert(document_keys)

_UNFILTERED = facet_digest(facet(""))
"""The facet of every document."""


@lru_cache(maxsize=64)
def _page(reverse: bool, continued: bool, shape: FacetShape) -> Executable:
    value = document_keys.c.value
    statement = (
        select(value, *_COLUMNS)
        .select_from(
            document_keys.join(
                documents, (documents.c.kind == document_keys.c.kind) & (documents.c.id == document_keys.c.id)
            )
        )
        .where(
            document_keys.c.kind == bindparam("of_kind"),
            document_keys.c.facet == bindparam("facet"),
            document_keys.c.name == bindparam("order"),
        )
    )
    if continued:
        after: ColumnElement[Any] = bindparam("after")
        statement = statement.where(value < after if reverse else value > after)
    return filtered(statement, shape, _has_any).order_by(value.desc() if reverse else value).limit(bindparam("limit"))


def _has_any(alias: str, names: Sequence[str]) -> ColumnElement[bool]:
    other = document_keys.alias(alias)
    return exists(
        select(literal_column("1"))
        .select_from(other)
        .where(
            other.c.kind == document_keys.c.kind,
            other.c.id == document_keys.c.id,
            other.c.facet.in_([bindparam(name) for name in names]),
            other.c.name == document_keys.c.name,
        )
        .correlate(document_keys)
    )


class DocumentReads(ReadPart):
    """Read and list documents."""

    @override
    def document(self, kind: str, document_id: str) -> Document | None:
        row = self._session.row(_GET, {"of_kind": kind, "document_id": document_id})
        return None if row is None else _document(kind, row)

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
        # The cursor is the last value of the key `order`.
        filters = document_filter(where, tags)
        if filters.matches_nothing:
            return Page([], None)
        digests = digest_filter(filters)
        # The range of one facet is read; the others are looked up for each of its documents.
        driver = next((group for group in digests.present if len(group) == 1), (_UNFILTERED,))
        others = DigestFilter(tuple(group for group in digests.present if group is not driver), digests.absent)
        values: dict[str, Any] = {
            "of_kind": kind,
            "facet": driver[0],
            "order": order,
            "after": after,
            "limit": limit + 1,
            **others.parameters,
        }
        statement = _page(reverse, after is not None, others.shape)
        rows = self._session.rows(statement, values)
        return Page(
            [_document(kind, row[1:]) for row in rows[:limit]],
            rows[limit - 1][0] if len(rows) > limit else None,
        )


class DocumentWrites(DocumentReads, WritePart):
    """Store and delete documents."""

    @override
    def put_document(self, document: Document) -> None:
        session = self._session
        this = {"of_kind": document.kind, "document_id": document.id}
        keys = dict(document.keys)
        session.run(
            _PUT,
            {
                "kind": document.kind,
                "id": document.id,
                "body": encode(document.body),
                "listed_by": encode(keys),
                "tags": encode(document.tags),
            },
        )
        session.run(_DELETE_KEYS, this)
        digests = {_UNFILTERED, *facet_digests(document_facets(document))}
        session.run_many(
            _ADD_KEYS,
            ("kind", "id", "facet", "name", "value"),
            [(document.kind, document.id, digest, name, value) for digest in digests for name, value in keys.items()],
        )

    @override
    def delete_document(self, kind: str, document_id: str) -> bool:
        return self._session.run(_DELETE, {"of_kind": kind, "document_id": document_id}) > 0


def _document(kind: str, row: tuple[Any, ...]) -> Document:
    return Document(kind, row[0], orjson.loads(row[1]), orjson.loads(row[2]), orjson.loads(row[3]))
