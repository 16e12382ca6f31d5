"""Pages of Flows and Sources in one of their orders: the best of a stream of narrow rows, and then the whole rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tams.repository.port import Cursor, Page
from tams.repository.vast.predicates import Term
from tams.repository.vast.staging import View
from tams.repository.vast.tables import Row, RowKey, Table


def page(
    view: View,
    table: Table,
    order: str,
    terms: Sequence[Term],
    *,
    reverse: bool,
    after: Cursor | None,
    limit: int,
    chosen: Callable[[list[RowKey]], set[RowKey]] | None = None,
) -> Page[Row]:
    """Rows in the order of a unique text column, which is the cursor. `chosen` says which of some keys are wanted."""
    wanted: list[tuple[Any, RowKey]] = []
    ahead = limit + 1
    while True:
        beyond = [] if after is None else [Term(order, "<" if reverse else ">", after)]
        found = view.first(table, order, [*terms, *beyond], ahead, reverse=reverse)
        keys = {key for _, key in found} if chosen is None else chosen([key for _, key in found])
        wanted += [each for each in found if each[1] in keys]
        if len(found) < ahead or len(wanted) > limit:
            break
        after = found[-1][0]
        # Few of them are wanted: look at more at once.
        ahead = min(8 * ahead, 4096)
    shown = wanted[:limit]
    rows = {table.key_of(row): row for row in view.look_up(table, table.key[0], [key[0] for _, key in shown])}
    return Page([rows[key] for _, key in shown], shown[-1][0] if len(wanted) > limit else None)
