"""Pages of Flows and Sources in one of their orders, filtered by facets.

Each page is an index range, so its cost is that of the page, whatever the size of the listing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Table,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)

from tams.repository.port import Cursor, Page
from tams.repository.sql.dialects import texts
from tams.repository.sql.engine import Session
from tams.repository.sql.facets import DigestFilter, FacetShape, filtered

Row = tuple[Any, ...]

_COUNT_CAP = 1000
"""Rows up to which facets are counted: those of more resources are all treated as equally common."""


@dataclass(frozen=True, eq=False)
class Resource:
    """A kind of resource that is listed.

    `owner` is the column of the table `facets` with the id of the resource. A row has the `columns` of `source`.
    """

    table: Table
    facets: Table
    owner: str
    columns: tuple[ColumnElement[Any], ...]
    source: FromClause


@dataclass(frozen=True)
class _Shape:
    """The properties that determine the text of a statement; everything else is a parameter.

    `driven`: the statement reads the range of a facet, rather than that of all resources. `narrow`: it selects the sort
    text and the id only.
    """

    order: str
    reverse: bool
    after: bool
    driven: bool
    facets: FacetShape
    condition: ColumnElement[bool] | None
    narrow: bool


def page(
    session: Session,
    resource: Resource,
    filters: DigestFilter,
    *,
    order: str,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    condition: ColumnElement[bool] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Page[Row]:
    """Return a page of rows, sorted by the column `by_{order}`; its value in the last row is the cursor.

    `condition` is one more filter, and `parameters` are the values of its parameters.
    """
    groups = _rarest_first(session, resource, filters.present)
    driver = groups[0] if groups else ()
    others = DigestFilter(tuple(groups[1:]), filters.absent)
    narrow = len(driver) > 1
    statement = _statement(
        resource, _Shape(order, reverse, after is not None, bool(driver), others.shape, condition, narrow)
    )
    values: dict[str, Any] = {"after": after, "limit": limit + 1, **(parameters or {}), **others.parameters}
    if narrow:
        # Read the sort texts and ids of each facet, merge them, and then read the rows of this page only.
        places: set[Row] = set()
        for digest in driver:
            places.update(session.rows(statement, {**values, "driver": digest}))
        first = sorted(places, reverse=reverse)[: limit + 1]
        rows_by_id = {row[0]: row for row in by_id(session, resource, [row[1] for row in first])}
        rows = [(position, *rows_by_id[owner]) for position, owner in first]
    else:
        rows = session.rows(statement, {**values, "driver": driver[0]} if driver else values)
    return Page([row[1:] for row in rows[:limit]], rows[limit - 1][0] if len(rows) > limit else None)


def by_id(session: Session, resource: Resource, ids: list[str]) -> list[Row]:
    """Return rows of `resource.columns` for the ids that exist."""
    return session.rows(_by_id(resource), {"ids": session.array(ids)}) if ids else []


@lru_cache(maxsize=16)
def _by_id(resource: Resource) -> Executable:
    ids = texts("ids")
    return select(*resource.columns).select_from(
        resource.source.join(ids, ids.c.value == resource.table.c.id),
    )


def _rarest_first(
    session: Session, resource: Resource, groups: tuple[tuple[bytes, ...], ...]
) -> list[tuple[bytes, ...]]:
    """Sort the groups by the number of resources that have one of their facets.

    The range of the first group is read, and the others are looked up for each of its rows.
    """
    if len(groups) < 2:
        return list(groups)
    count = _bounded_count(resource)

    def commonness(group: tuple[bytes, ...]) -> int:
        rows = (session.row(count, {"facet": digest, "cap": _COUNT_CAP}) for digest in group)
        return sum(row[0] for row in rows if row)

    return sorted(groups, key=commonness)


@lru_cache(maxsize=16)
def _bounded_count(resource: Resource) -> Executable:
    rows = (
        select(literal_column("1").label("one"))
        .select_from(resource.facets)
        .where(resource.facets.c.facet == bindparam("facet"))
        .limit(bindparam("cap"))
        .subquery()
    )
    return select(func.count()).select_from(rows)


@lru_cache(maxsize=512)
def _statement(resource: Resource, shape: _Shape) -> Executable:
    table, column = resource.table, f"by_{shape.order}"
    if shape.driven:
        driver = resource.facets.alias("driver")
        position: ColumnElement[Any] = driver.c[column]
        statement = select(position).select_from(driver.join(resource.source, driver.c[resource.owner] == table.c.id))
        statement = statement.where(driver.c.facet == bindparam("driver"))
    else:
        position = table.c[column]
        statement = select(position).select_from(resource.source)
    statement = statement.add_columns(*((table.c.id,) if shape.narrow else resource.columns))
    if shape.after:
        after: ColumnElement[Any] = bindparam("after")
        statement = statement.where(position < after if shape.reverse else position > after)
    statement = filtered(statement, shape.facets, partial(_has_any, resource))
    if shape.condition is not None:
        statement = statement.where(shape.condition)
    return statement.order_by(position.desc() if shape.reverse else position).limit(bindparam("limit"))


def _has_any(resource: Resource, alias: str, names: Sequence[str]) -> ColumnElement[bool]:
    facets = resource.facets.alias(alias)
    return exists(
        select(literal_column("1"))
        .select_from(facets)
        .where(
            facets.c[resource.owner] == resource.table.c.id,
            facets.c.facet.in_([bindparam(name) for name in names]),
        )
        .correlate(resource.table)
    )
