"""References to Objects: which Flows and Objects use one. They are the rows themselves: no counter is stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, bindparam, exists, literal_column, or_, select
from typing_extensions import override

from tams.domain.filters import NO_TAGS, TagFilter
from tams.repository.index import tag_filter
from tams.repository.port import Cursor, Page
from tams.repository.sql.base import ReadPart
from tams.repository.sql.dialects import texts
from tams.repository.sql.facets import FacetShape, digest_filter, filtered
from tams.repository.sql.tables import flow_facets, flows, objects, segments

_ids = texts("ids")
_dependents = objects.alias("dependents")
_REFERENCED = select(_ids.c.value).where(
    or_(
        exists(select(literal_column("1")).select_from(segments).where(segments.c.object_id == _ids.c.value)),
        exists(
            select(literal_column("1")).select_from(_dependents).where(_dependents.c.init_object_id == _ids.c.value)
        ),
    )
)


@lru_cache(maxsize=64)
def _references(continued: bool, shape: FacetShape) -> Executable:
    """Select the Flows that use an Object, by one look into the index per Flow, however many Segments use it."""
    statement = select(flows.c.id)
    used = _flow_keys("used", segments.c.object_id).union(_flow_keys("needed", segments.c.init_object_id)).subquery()
    statement = statement.select_from(used.join(flows, flows.c.key == used.c.flow_key))
    if continued:
        statement = statement.where(flows.c.id > bindparam("after"))
    statement = filtered(statement, shape, _has_any_facet)
    # Sorted after the search: PostgreSQL would otherwise read all Flows, in the order of their index.
    matches = statement.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(matches.c.id).order_by(matches.c.id).limit(bindparam("limit"))


@lru_cache(maxsize=64)
def _referred_to(shape: FacetShape) -> Executable:
    """Select the Objects that a Flow uses, as media or to initialise media."""

    def used(column: ColumnElement[Any]) -> ColumnElement[bool]:
        statement: Select[Any] = (
            select(literal_column("1"))
            .select_from(segments.join(flows, flows.c.key == segments.c.flow_key))
            .where(column == _ids.c.value)
        )
        return exists(filtered(statement, shape, _has_any_facet))

    return select(_ids.c.value).where(or_(used(segments.c.object_id), used(segments.c.init_object_id)))


def _flow_keys(name: str, column: ColumnElement[Any]) -> Any:
    """Select the keys of the Flows with a Segment whose `column` is the Object: a loose index scan by recursion."""
    key = segments.c.flow_key
    of_object = column == bindparam("object_id")
    first = select(select(key).where(of_object).order_by(key).limit(1).scalar_subquery().label("flow_key"))
    walk = first.cte(name, recursive=True)
    following = (
        select(key).where(of_object, key > walk.c.flow_key).order_by(key).limit(1).correlate(walk).scalar_subquery()
    )
    walk = walk.union_all(select(following).where(walk.c.flow_key.is_not(None)))
    return select(walk.c.flow_key).where(walk.c.flow_key.is_not(None))


def _has_any_facet(alias: str, names: Sequence[str]) -> ColumnElement[bool]:
    facets = flow_facets.alias(alias)
    return exists(
        select(literal_column("1"))
        .select_from(facets)
        .where(facets.c.flow_id == flows.c.id, facets.c.facet.in_([bindparam(name) for name in names]))
        .correlate(flows)
    )


class ReferenceReads(ReadPart):
    """Read references to Objects."""

    @override
    def still_referenced(self, object_ids: Collection[str]) -> set[str]:
        if not object_ids:
            return set()
        rows = self._session.rows(_REFERENCED, {"ids": self._session.array(sorted(set(object_ids)))})
        return {row[0] for row in rows}

    @override
    def references(
        self, object_id: str, *, flow_tags: TagFilter = NO_TAGS, after: Cursor | None = None, limit: int = 100
    ) -> Page[str]:
        # The cursor is the last id.
        filters = tag_filter(flow_tags)
        if filters.matches_nothing:
            return Page([], None)
        digests = digest_filter(filters)
        values = {"object_id": object_id, "after": after, "limit": limit + 1, **digests.parameters}
        statement = _references(after is not None, digests.shape)
        flow_ids = [row[0] for row in self._session.rows(statement, values)]
        return Page(flow_ids[:limit], flow_ids[limit - 1] if len(flow_ids) > limit else None)

    @override
    def referred_to(self, object_ids: Collection[str], flow_tags: TagFilter) -> set[str]:
        filters = tag_filter(flow_tags)
        if not object_ids or filters.matches_nothing:
            return set()
        digests = digest_filter(filters)
        values = {"ids": self._session.array(sorted(set(object_ids))), **digests.parameters}
        statement = _referred_to(digests.shape)
        return {row[0] for row in self._session.rows(statement, values)}
