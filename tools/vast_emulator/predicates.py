"""Predicates, bound to the columns of a table: which zones they may match, and which rows they match."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from typing_extensions import override

from tools.vast_emulator.runs import Mask, RunData, as_ordered, ordered_type

# Returns the cells of one column in the rows that are being examined.
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
        """Return which zones of a run may hold a matching row; it may be too many, never too few."""
        ...

    def rows(self, cells: Cells) -> pa.Array:
        """Return which rows match; null counts as false."""
        ...


@dataclass(frozen=True, slots=True)
class Operand:
    """A column, or a field inside one."""

    key: str
    path: tuple[int, ...]
    kind: pa.DataType  # type of the column or field

    def of(self, cells: Cells) -> pa.Array:
        """Return the cells of this column or field, in the type in which they are compared."""
        cells_of_field = cells(self.key)
        for child in self.path:
            cells_of_field = pc.struct_field(cells_of_field, indices=[child])
        kind = ordered_type(self.kind)
        return cells_of_field if kind is None else as_ordered(cells_of_field, kind)


def _all(run: RunData) -> Mask:
    return np.ones(len(run.zones), dtype=bool)


@dataclass(frozen=True, slots=True)
class Compare(Predicate):
    """Compares a column with a value; `value` is in the form that zones are compared with."""

    function: str
    operand: Operand
    scalar: pa.Scalar
    value: Any

    @override
    def zones(self, run: RunData) -> Mask:
        bounds = None if self.operand.path else run.bounds(self.operand.key)
        if bounds is None:
            return _all(run)
        if not bounds.valid.any():
            # All cells are null: the placeholders in the bounds may have another type than the value.
            return bounds.valid
        least, greatest, value = bounds.least, bounds.greatest, self.value
        match self.function:
            case "equal":
                candidates = (least <= value) & (greatest >= value)
            case "less":
                candidates = least < value
            case "less_equal":
                candidates = least <= value
            case "greater":
                candidates = greatest > value
            case "greater_equal":
                candidates = greatest >= value
            case _:
                # A NaN is equal to nothing and does not appear in the bounds.
                candidates = _all(run) if pt.is_floating(self.operand.kind) else (least != value) | (greatest != value)
        result: Mask = bounds.valid & candidates.astype(bool)
        return result

    @override
    def rows(self, cells: Cells) -> pa.Array:
        return _KERNELS[self.function](self.operand.of(cells), self.scalar)


@dataclass(frozen=True, slots=True)
class OneOf(Predicate):
    """Compares a column with many values; it replaces a list of equalities."""

    operand: Operand
    values: pa.Array
    ordered: Sequence[Any] = field(repr=False)  # the values in ascending order, as zones are compared with them

    @override
    def zones(self, run: RunData) -> Mask:
        bounds = None if self.operand.path else run.bounds(self.operand.key)
        if bounds is None:
            return _all(run)
        candidates = np.zeros(len(bounds.valid), dtype=bool)
        for zone in np.flatnonzero(bounds.valid):
            place = bisect_left(self.ordered, bounds.least[zone])
            candidates[zone] = place < len(self.ordered) and self.ordered[place] <= bounds.greatest[zone]
        return candidates

    @override
    def rows(self, cells: Cells) -> pa.Array:
        return pc.is_in(self.operand.of(cells), value_set=self.values)


@dataclass(frozen=True, slots=True)
class IsNull(Predicate):
    """Tests whether a cell is null (`null` is True) or is not null."""

    operand: Operand
    null: bool

    @override
    def zones(self, run: RunData) -> Mask:
        bounds = None if self.operand.path else run.bounds(self.operand.key)
        if bounds is None:
            return _all(run)
        return bounds.nulls if self.null else bounds.valid

    @override
    def rows(self, cells: Cells) -> pa.Array:
        column = self.operand.of(cells)
        return pc.is_null(column) if self.null else pc.is_valid(column)


@dataclass(frozen=True, slots=True)
class Contains(Predicate):
    """Tests whether a text contains another."""

    operand: Operand
    text: bytes

    @override
    def zones(self, run: RunData) -> Mask:
        return IsNull(self.operand, null=False).zones(run)

    @override
    def rows(self, cells: Cells) -> pa.Array:
        return pc.match_substring(self.operand.of(cells), self.text)


@dataclass(frozen=True, slots=True)
class CompareVector(Predicate):
    """Compares a fixed-size list with a list of the same length; the first difference decides."""

    function: str
    operand: Operand
    values: pa.Array

    @override
    def zones(self, run: RunData) -> Mask:
        return _all(run)

    @override
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
    """Return the buffers of the elements, without their validity.

    Elements of null vectors have arbitrary values. Their results are ignored, but they must not be null.
    """
    return [None, vectors.buffers()[2]]


@dataclass(frozen=True, slots=True)
class AllOf(Predicate):
    """Matches rows that match all terms; without terms, every row."""

    terms: tuple[Predicate, ...]

    @override
    def zones(self, run: RunData) -> Mask:
        return reduce(np.logical_and, (term.zones(run) for term in self.terms), _all(run))

    @override
    def rows(self, cells: Cells) -> pa.Array:
        return reduce(pc.and_kleene, (term.rows(cells) for term in self.terms))


@dataclass(frozen=True, slots=True)
class AnyOf(Predicate):
    """Matches rows that match at least one term."""

    terms: tuple[Predicate, ...]

    @override
    def zones(self, run: RunData) -> Mask:
        return reduce(np.logical_or, (term.zones(run) for term in self.terms))

    @override
    def rows(self, cells: Cells) -> pa.Array:
        return reduce(pc.or_kleene, (term.rows(cells) for term in self.terms))


def mirrored(function: str) -> str:
    """Return the function that is equivalent when the arguments are swapped."""
    return _MIRRORS.get(function, function)


def any_of(terms: Sequence[Predicate]) -> Predicate:
    """Return a predicate that at least one term matches, with many equalities of one column merged."""
    if len(terms) == 1:
        return terms[0]
    equalities = [term for term in terms if isinstance(term, Compare) and term.function == "equal"]
    if len(equalities) < 4 or len({term.operand for term in equalities}) > 1:
        return AnyOf(tuple(terms))
    values = pa.array([term.scalar.as_py() for term in equalities], type=equalities[0].scalar.type)
    merged = OneOf(equalities[0].operand, values, sorted(term.value for term in equalities))
    rest = [term for term in terms if not (isinstance(term, Compare) and term.function == "equal")]
    return AnyOf((merged, *rest)) if rest else merged


def constrained(predicate: Predicate) -> set[str]:
    """Return the keys of the columns that the predicate restricts for every matching row."""
    match predicate:
        case AllOf(terms):
            return set().union(*(constrained(term) for term in terms))
        case AnyOf(terms):
            return set.intersection(*(constrained(term) for term in terms))
        case Compare(operand=operand) | OneOf(operand=operand):
            return set() if operand.path else {operand.key}
        case _:
            return set()
