"""Conditions on rows, within what the SDK can send: all of them hold, each is about one column.

Each is evaluated in three ways that agree: by the cluster, on Arrow columns for what the cluster cannot, and on rows
that were written in this transaction and are not stored yet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tams.repository.vast.tables import Row


@dataclass(frozen=True, slots=True)
class Term:
    """`column operator value`; NULL fulfils none but `null`. `lacks`: a text column that does not contain the text."""

    column: str
    operator: Literal["==", "<", "<=", ">", ">=", "in", "within", "contains", "lacks", "null"]
    value: Any = None

    def matches(self, row: Row) -> bool:
        """Whether the row fulfils it."""
        held = row[self.column]
        if self.operator == "null" or held is None:
            return self.operator == "null" and held is None
        return bool(_COMPARED[self.operator](held, self.value))

    @property
    def sent(self) -> bool:
        """Whether the cluster evaluates it."""
        return self.operator != "lacks"

    def mask(self, batch: pa.RecordBatch) -> pa.Array:
        """Which rows fulfil one that is not sent."""
        return pc.invert(pc.match_substring(batch.column(self.column), self.value))

    def expression(self, table: Any) -> Any:
        """As the SDK takes it."""
        column = table[self.column]
        if self.operator == "null":
            return column.isnull()
        if self.operator == "in":
            return column.isin(list(self.value))
        if self.operator == "contains":
            return _any([column.contains(text) for text in self.value])
        if self.operator == "within":
            return _any([column.between(low, high - 1) for low, high in self.value])
        return _COMPARED[self.operator](column, self.value)


_COMPARED: dict[str, Any] = {
    "==": lambda held, value: held == value,
    "<": lambda held, value: held < value,
    "<=": lambda held, value: held <= value,
    ">": lambda held, value: held > value,
    ">=": lambda held, value: held >= value,
    "in": lambda held, value: held in value,
    "within": lambda held, value: any(low <= held < high for low, high in value),
    "contains": lambda held, value: any(text in held for text in value),
    "lacks": lambda held, value: value not in held,
}


def _any(expressions: list[Any]) -> Any:
    whole = expressions[0]
    for each in expressions[1:]:
        whole = whole | each
    return whole


def equal(column: str, value: Any) -> Term:
    """`column == value`."""
    return Term(column, "==", value)


def among(column: str, values: Collection[Any]) -> Term:
    """`column` is one of `values`; with none of them no row is, and nobody is asked."""
    return Term(column, "in", frozenset(values))
