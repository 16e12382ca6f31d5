"""Predicates, bound to the columns of a table: which zones they can match, and which rows they do match."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from tools.vast_emulator.runs import Mask, RunData, in_order, ordered_type

# The cells of one column in the rows that are looked at.
Cells = Callable[[str], pa.Array]

_KERNELS: dict[str, Callable[[Any, Any], pa.Array]] = {
    "equal": pc.equal,
    "not_equal": pc.not_equal,
    "less": pc.less,
    "less_equal": pc.less_equal,
    "greater": pc.greater,
    "greater_equal": pc.greater_equal,
}
FUNCTIONS = frozenset(_KERNELS)
_MIRRORS = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}


class Predicate(Protocol):
    """A condition on a row."""

    def zones(self, run: RunData) -> Mask:
        """Which zones of a run may hold a row that matches; too many is allowed, too few is not."""
        ...

    def rows(self, cells: Cells) -> pa.Array:
        """Which rows match; null counts as no."""
        ...


@dataclass(frozen=True, slots=True)
class Operand:
    """A column, or a field inside one."""

    key: str
    path: tuple[int, ...]
    kind: pa.DataType  # of the column or field

    def of(self, cells: Cells) -> pa.Array:
        """The cells of this column or field, in the type in which they are compared."""
        found = cells(self.key)
        for child in self.path:
            found = pc.struct_field(found, indices=[child])
        kind = ordered_type(self.kind)
        return found if kind is None else in_order(found, kind)


def _all(run: RunData) -> Mask:
    return np.ones(len(run.zones), dtype=bool)


@dataclass(frozen=True, slots=True)
class Compare:
    """A column against a value; `value` is the value as zones are compared with it."""

    function: str
    operand: Operand
    scalar: pa.Scalar
    value: Any

    def zones(self, run: RunData) -> Mask:
        bounds = None if self.operand.path else run.bounds(self.operand.key)
        if bounds is None:
            return _all(run)
        if not bounds.valid.any():
            # All cells are null, so that what stands for the bounds need not be of the value's type.
            return bounds.valid
        least, greatest, value = bounds.least, bounds.greatest, self.value
        match self.function:
            case "equal":
                may = (least <= value) & (greatest >= value)
            case "less":
                may = least < value
            case "less_equal":
                may = least <= value
            case "greater":
                may = greatest > value
            case "greater_equal":
                may = greatest >= value
            case _:
                # A NaN is not equal to anything and does not show in the bounds.
                may = _all(run) if pt.is_floating(self.operand.kind) else (least != value) | (greatest != value)
        result: Mask = bounds.valid & may.astype(bool)
        return result

    def rows(self, cells: Cells) -> pa.Array:
        return _KERNELS[self.function](self.operand.of(cells), self.scalar)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A column against many values: what a list of equalities comes to."""

    operand: Operand
    values: pa.Array
    ordered: Sequence[Any] = field(repr=False)  # the values in ascending order, as zones are compared with them

    def zones(self, run: RunData) -> Mask:
        bounds = None if self.operand.path else run.bounds(self.operand.key)
        if bounds is None:
            return _all(run)
        may = np.zeros(len(bounds.valid), dtype=bool)
        for zone in np.flatnonzero(bounds.valid):
            place = bisect_left(self.ordered, bounds.least[zone])
            may[zone] = place < len(self.ordered) and self.ordered[place] <= bounds.greatest[zone]
        return may

    def rows(self, cells: Cells) -> pa.Array:
        return pc.is_in(self.operand.of(cells), value_set=self.values)


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a cell is null, or is not."""

    operand: Operand
    wanted: bool

    def zones(self, run: RunData) -> Mask:
        bounds = None if self.operand.path else run.bounds(self.operand.key)
        if bounds is None:
            return _all(run)
        return bounds.nulls if self.wanted else bounds.valid

    def rows(self, cells: Cells) -> pa.Array:
        found = self.operand.of(cells)
        return pc.is_null(found) if self.wanted else pc.is_valid(found)


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether a text contains another."""

    operand: Operand
    text: bytes

    def zones(self, run: RunData) -> Mask:
        return IsNull(self.operand, wanted=False).zones(run)

    def rows(self, cells: Cells) -> pa.Array:
        return pc.match_substring(self.operand.of(cells), self.text)


@dataclass(frozen=True, slots=True)
class CompareVector:
    """A fixed list against a list of as many values, the first difference deciding."""

    function: str
    operand: Operand
    values: pa.Array

    def zones(self, run: RunData) -> Mask:
        return _all(run)

    def rows(self, cells: Cells) -> pa.Array:
        vectors = self.operand.of(cells)
        size = vectors.type.list_size
        elements = pa.Array.from_buffers(
            vectors.type.value_type, len(vectors) * size, _element_buffers(vectors), offset=vectors.offset * size
        )
        same, less = np.ones(len(vectors), dtype=bool), np.zeros(len(vectors), dtype=bool)
        for place in range(size):
            column = elements.take(pa.array(np.arange(len(vectors)) * size + place))
            value = self.values[place]
            less |= same & pc.less(column, value).to_numpy(zero_copy_only=False).astype(bool)
            same &= pc.equal(column, value).to_numpy(zero_copy_only=False).astype(bool)
        result = {
            "equal": same,
            "not_equal": ~same,
            "less": less,
            "less_equal": less | same,
            "greater": ~(less | same),
            "greater_equal": ~less,
        }[self.function]
        return pc.and_(pa.array(result), pc.is_valid(vectors))


def _element_buffers(vectors: pa.Array) -> list[pa.Buffer | None]:
    """The elements of null vectors hold anything: what they compare to does not count, but null they must not be."""
    return [None, vectors.buffers()[2]]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of these; without any, every row."""

    terms: tuple[Predicate, ...]

    def zones(self, run: RunData) -> Mask:
        return reduce(np.logical_and, (term.zones(run) for term in self.terms), _all(run))

    def rows(self, cells: Cells) -> pa.Array:
        return reduce(pc.and_kleene, (term.rows(cells) for term in self.terms))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these."""

    terms: tuple[Predicate, ...]

    def zones(self, run: RunData) -> Mask:
        return reduce(np.logical_or, (term.zones(run) for term in self.terms))

    def rows(self, cells: Cells) -> pa.Array:
        return reduce(pc.or_kleene, (term.rows(cells) for term in self.terms))


def mirrored(function: str) -> str:
    """The function that says the same of the arguments in the other order."""
    return _MIRRORS.get(function, function)


def any_of(terms: Sequence[Predicate]) -> Predicate:
    """At least one of these, with the equalities of one column taken together."""
    if len(terms) == 1:
        return terms[0]
    equal = [term for term in terms if isinstance(term, Compare) and term.function == "equal"]
    if len(equal) < 4 or len({term.operand for term in equal}) > 1:
        return AnyOf(tuple(terms))
    values = pa.array([term.scalar.as_py() for term in equal], type=equal[0].scalar.type)
    merged = OneOf(equal[0].operand, values, sorted(term.value for term in equal))
    rest = [term for term in terms if not (isinstance(term, Compare) and term.function == "equal")]
    return AnyOf((merged, *rest)) if rest else merged


def constrained(predicate: Predicate) -> set[str]:
    """The columns of which the predicate says something that every matching row fulfils."""
    match predicate:
        case AllOf(terms):
            return set().union(*(constrained(term) for term in terms))
        case AnyOf(terms):
            return set.intersection(*(constrained(term) for term in terms))
        case Compare(operand=operand) | OneOf(operand=operand):
            return set() if operand.path else {operand.key}
        case _:
            return set()
