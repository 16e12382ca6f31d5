"""Predicates on rows, as far as the SDK can send them: each is about one column, and a query ANDs them.

A predicate is evaluated in three ways that agree: by the cluster; on Arrow columns, for what the cluster cannot
evaluate; and on rows that are staged in this transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tams.repository.vast.tables import Row


@dataclass(frozen=True, slots=True)
class Predicate:
    """`column operator value`. NULL matches only `null`.

    `within`: one of several ranges `[low, high)`. `contains`: one of several texts. `lacks`: not this text.
    """

    column: str
    operator: Literal["==", "<", "<=", ">", ">=", "in", "within", "contains", "lacks", "null"]
    value: Any = None

    def matches(self, row: Row) -> bool:
        """Return True if the row matches."""
        cell = row[self.column]
        if self.operator == "null" or cell is None:
            return self.operator == "null" and cell is None
        return bool(_COMPARISONS[self.operator](cell, self.value))

    @property
    def is_sent(self) -> bool:
        """True if the cluster evaluates it."""
        return self.operator != "lacks"

    def mask(self, batch: pa.RecordBatch) -> pa.Array:
        """Return for each row of an Arrow batch whether it matches; only for a predicate that is not sent."""
        return pc.invert(pc.match_substring(batch.column(self.column), self.value))

    def expression(self, table: Any) -> Any:
        """Return the expression that the SDK sends, on the columns of the SDK's `table`."""
        column = table[self.column]
        if self.operator == "null":
            return column.isnull()
        if self.operator == "in":
            return column.isin(list(self.value))
        if self.operator == "contains":
            return _any_of([column.contains(text) for text in self.value])
        if self.operator == "within":
            return _any_of([column.between(low, high - 1) for low, high in self.value])
        return _COMPARISONS[self.operator](column, self.value)


_COMPARISONS: dict[str, Any] = {
    "==": lambda cell, value: cell == value,
    "<": lambda cell, value: cell < value,
    "<=": lambda cell, value: cell <= value,
    ">": lambda cell, value: cell > value,
    ">=": lambda cell, value: cell >= value,
    "in": lambda cell, value: cell in value,
    "within": lambda cell, value: any(low <= cell < high for low, high in value),
    "contains": lambda cell, value: any(text in cell for text in value),
    "lacks": lambda cell, value: value not in cell,
}


def _any_of(expressions: list[Any]) -> Any:
    result = expressions[0]
    for expression in expressions[1:]:
        result = result | expression
    return result


def equal(column: str, value: Any) -> Predicate:
    """Return the predicate `column == value`."""
    return Predicate(column, "==", value)


def among(column: str, values: Collection[Any]) -> Predicate:
    """Return the predicate that `column` is one of `values`. Without values it matches no row, and no query is sent."""
    return Predicate(column, "in", frozenset(values))
