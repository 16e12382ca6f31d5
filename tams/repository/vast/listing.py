"""Pages of Flows and Sources in one of their orders: the first of a stream of narrow rows, and then the whole rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tams.repository.port import Cursor, Page
from tams.repository.vast.predicates import Predicate
from tams.repository.vast.staging import StagedView
from tams.repository.vast.tables import Row, RowKey, Table


def page(
    view: StagedView,
    table: Table,
    order: str,
    terms: Sequence[Predicate],
    *,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    passing: Callable[[list[RowKey]], set[RowKey]] | None = None,
) -> Page[Row]:
    """Return a page of rows in the order of the column `order`, whose texts are unique and serve as cursors.

    `passing` returns which of some rows pass one more filter, by their keys.
    """
    places: list[tuple[Any, RowKey]] = []
    ahead = limit + 1
    while True:
        beyond = [] if after is None else [Predicate(order, "<" if reverse else ">", after)]
        batch = view.first(table, order, [*terms, *beyond], ahead, reverse=reverse)
        keys = {key for _, key in batch} if passing is None else passing([key for _, key in batch])
        places += [place for place in batch if place[1] in keys]
        if len(batch) < ahead or len(places) > limit:
            break
        after = batch[-1][0]
        # Few of the rows pass: read more at once.
        ahead = min(8 * ahead, 4096)
    first = places[:limit]
    rows = {table.key_of(row): row for row in view.look_up(table, table.key[0], [key[0] for _, key in first])}
    return Page([rows[key] for _, key in first], first[-1][0] if len(places) > limit else None)
