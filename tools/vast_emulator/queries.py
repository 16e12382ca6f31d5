"""The body of a select: its columns and its predicate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.types as pt
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf import (
    BinaryLiteral,
    BooleanLiteral,
    Call,
    DateLiteral,
    DecimalLiteral,
    FieldIndex,
    FieldRef,
    Float16Literal,
    Float32Literal,
    Float64Literal,
    Int8Literal,
    Int16Literal,
    Int32Literal,
    Int64Literal,
    ListLiteral,
    Literal,
    Relation,
    Source,
    StringLiteral,
    TimeLiteral,
    TimestampLiteral,
    UInt8Literal,
    UInt16Literal,
    UInt32Literal,
    UInt64Literal,
)
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf.ExpressionImpl import ExpressionImpl
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf.LiteralImpl import LiteralImpl
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Type import Type

from tools.vast_emulator.errors import bad_request
from tools.vast_emulator.predicates import (
    FUNCTIONS,
    AllOf,
    Compare,
    CompareVector,
    Contains,
    IsNull,
    Operand,
    Predicate,
    any_of,
    mirrored,
)
from tools.vast_emulator.runs import ordered_type


@dataclass(frozen=True, slots=True)
class Position:
    """A position in the request's schema: a column, and the path to one of its fields."""

    column: str
    path: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function of the filter and its arguments."""

    function: str
    arguments: tuple["Invocation | Position | Value", ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A literal, not yet converted to the type of the column that it is compared with."""

    value: Any


@dataclass(frozen=True, slots=True)
class Query:
    """A select as the client wrote it: columns by name, in the order of the response."""

    columns: tuple[str, ...]
    decimal_row_ids: bool  # the type in which the client expects row ids
    filter: "Invocation | Position | Value | None"


_LITERALS: dict[int, Any] = {
    LiteralImpl.Int8Literal: Int8Literal.Int8Literal,
    LiteralImpl.Int16Literal: Int16Literal.Int16Literal,
    LiteralImpl.Int32Literal: Int32Literal.Int32Literal,
    LiteralImpl.Int64Literal: Int64Literal.Int64Literal,
    LiteralImpl.UInt8Literal: UInt8Literal.UInt8Literal,
    LiteralImpl.UInt16Literal: UInt16Literal.UInt16Literal,
    LiteralImpl.UInt32Literal: UInt32Literal.UInt32Literal,
    LiteralImpl.UInt64Literal: UInt64Literal.UInt64Literal,
    LiteralImpl.Float16Literal: Float16Literal.Float16Literal,
    LiteralImpl.Float32Literal: Float32Literal.Float32Literal,
    LiteralImpl.Float64Literal: Float64Literal.Float64Literal,
    LiteralImpl.StringLiteral: StringLiteral.StringLiteral,
    LiteralImpl.BinaryLiteral: BinaryLiteral.BinaryLiteral,
    LiteralImpl.BooleanLiteral: BooleanLiteral.BooleanLiteral,
    LiteralImpl.DateLiteral: DateLiteral.DateLiteral,
    LiteralImpl.TimeLiteral: TimeLiteral.TimeLiteral,
    LiteralImpl.TimestampLiteral: TimestampLiteral.TimestampLiteral,
    LiteralImpl.DecimalLiteral: DecimalLiteral.DecimalLiteral,
    LiteralImpl.ListLiteral: ListLiteral.ListLiteral,
}


# Larger bodies, in bytes, are not worth the cache's memory.
_MAX_CACHED = 1 << 18


def decode(body: bytes) -> Query:
    """Read a Relation message.

    Raises:
        ProtocolError: 400, the body is not a Relation message.
    """
    try:
        return _decode_cached(body) if len(body) <= _MAX_CACHED else _decode(body)
    except (ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        raise bad_request("MalformedQuery", f"the query cannot be read: {error}") from error


# The pages of one select carry the same body.
@lru_cache(maxsize=128)
def _decode_cached(body: bytes) -> Query:
    return _decode(body)


def _decode(body: bytes) -> Query:
    relation = Relation.Relation.GetRootAs(body)
    source = _as(Source.Source, relation.Impl())
    schema = source.Schema()
    positions: list[Position] = []
    decimal = False
    for number in range(schema.FieldsLength()):
        top = schema.Fields(number)
        name = top.Name().decode()
        _enumerate(top, name, (), positions)
        decimal = decimal or (name == "$row_id" and top.TypeType() == Type.Decimal)
    columns: dict[str, None] = {}
    for number in range(source.ProjectionLength()):
        columns[positions[source.Projection(number).Position()].column] = None
    expression = source.Filter()
    return Query(tuple(columns), decimal, None if expression is None else _expression(expression, positions))


def _as(kind: Callable[[], Any], union: Any) -> Any:
    """Return the member of a union, as an instance of `kind`."""
    member = kind()
    member.Init(union.Bytes, union.Pos)
    return member


def _enumerate(node: Any, column: str, path: tuple[int, ...], positions: list[Position]) -> None:
    """Append the positions of a node and its descendants.

    Positions number all nodes of all columns, each before its children.
    """
    positions.append(Position(column, path))
    for number in range(node.ChildrenLength()):
        child_path = (*path, number) if node.TypeType() == Type.Struct_ else path
        _enumerate(node.Children(number), column, child_path, positions)


def _expression(expression: Any, positions: list[Position]) -> Invocation | Position | Value:
    match expression.ImplType():
        case ExpressionImpl.Call:
            call = _as(Call.Call, expression.Impl())
            arguments = (_expression(call.Arguments(n), positions) for n in range(call.ArgumentsLength()))
            return Invocation(call.Name().decode(), tuple(arguments))
        case ExpressionImpl.FieldRef:
            index = _as(FieldIndex.FieldIndex, _as(FieldRef.FieldRef, expression.Impl()).Ref())
            return positions[int(index.Position())]
        case ExpressionImpl.Literal:
            return Value(_literal(_as(Literal.Literal, expression.Impl())))
        case other:
            raise ValueError(f"expression of kind {other}")


def _literal(literal: Any) -> Any:
    kind = literal.ImplType()
    value = _as(_LITERALS[kind], literal.Impl())
    if kind == LiteralImpl.ListLiteral:
        return [_literal(value.Values(number)) for number in range(value.ValuesLength())]
    if kind in (LiteralImpl.BinaryLiteral, LiteralImpl.DecimalLiteral):
        octets = bytes(value.Value(number) & 0xFF for number in range(value.ValueLength()))
        return octets if kind == LiteralImpl.BinaryLiteral else int.from_bytes(octets, "little", signed=True)
    return value.Value()


def bind(
    expression: Invocation | Position | Value | None, column: Callable[[str], tuple[str, pa.DataType]]
) -> Predicate | None:
    """Return the predicate on the columns that `column` looks up by name, as (key, type)."""
    if expression is None:
        return None
    if not isinstance(expression, Invocation):
        raise bad_request("MalformedQuery", "the filter is not a function")
    function, arguments = expression.function, expression.arguments
    if function in ("and", "or"):
        terms = [term for term in (bind(argument, column) for argument in arguments) if term is not None]
        if function == "or":
            return any_of(terms) if terms else None
        return terms[0] if len(terms) == 1 else AllOf(tuple(terms)) if terms else None
    if function in ("is_null", "is_valid") and len(arguments) == 1 and isinstance(arguments[0], Position):
        return IsNull(_operand(arguments[0], column), null=function == "is_null")
    match arguments:
        case (Position() as position, Value() as value):
            pass
        case (Value() as value, Position() as position):
            function = mirrored(function)
        case _:
            raise bad_request("MalformedQuery", f"{function} does not accept these arguments")
    return _compare(function, _operand(position, column), value.value)


def _operand(position: Position, column: Callable[[str], tuple[str, pa.DataType]]) -> Operand:
    key, kind = column(position.column)
    for child in position.path:
        kind = kind.field(child).type
    return Operand(key, position.path, kind)


def _compare(function: str, operand: Operand, value: Any) -> Predicate:
    kind = operand.kind
    if function == "match_substring" and (pt.is_string(kind) or pt.is_binary(kind)):
        return Contains(operand, value)
    if function not in FUNCTIONS:
        raise bad_request("MalformedQuery", f"function {function} is not defined for {kind}")
    if pt.is_fixed_size_list(kind) and isinstance(value, list):
        if len(value) != kind.list_size:
            raise bad_request("MalformedQuery", f"{len(value)} values are compared with {kind}")
        values = [_scalar(element, kind.value_type).as_py() for element in value]
        return CompareVector(function, operand, pa.array(values, type=kind.value_type))
    scalar = _scalar(value, kind)
    compared = ordered_type(kind)
    if compared is None:
        return Compare(function, operand, scalar, None)
    scalar = scalar if scalar.type == compared else scalar.cast(compared)
    return Compare(function, operand, scalar, scalar.as_py())


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return a literal in the type of the column. The bytes of a text may be invalid UTF-8."""
    try:
        if pt.is_string(kind) or pt.is_binary(kind):
            return pa.scalar(value, type=pa.binary())
        if pt.is_date32(kind) or pt.is_time32(kind):
            return pa.scalar(value, type=pa.int32()).cast(kind)
        if pt.is_timestamp(kind) or pt.is_time64(kind):
            return pa.scalar(value, type=pa.int64()).cast(kind)
        if pt.is_decimal(kind):
            buffer = pa.py_buffer(int(value).to_bytes(16, "little", signed=True))
            return pa.Array.from_buffers(kind, 1, [None, buffer])[0]
        if pt.is_float16(kind):
            buffer = pa.py_buffer(int(value).to_bytes(2, "little"))
            return pa.Array.from_buffers(kind, 1, [None, buffer])[0]
        return pa.scalar(value, type=kind)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise bad_request("MalformedQuery", f"{value!r} is not of type {kind}: {error}") from error
