"""Columns of a table: the supported types, and the size limit of cells."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from tools.vast_emulator.errors import ProtocolError, bad_request

ROW_ID = "$row_id"
# A column with this name exposes the row ids; an insert that includes it sets them.
VISIBLE_ROW_ID = "vastdb_rowid"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Rows are stored by its id, so that a rename changes only the name."""

    id: int
    field: pa.Field

    @property
    def name(self) -> str:
        """Return the name that clients use."""
        return str(self.field.name)

    @property
    def key(self) -> str:
        """Return the name under which the column's cells are stored."""
        return str(self.id)


def check_type(field: pa.Field, cell_limit: int) -> None:
    """Raise a 400 error if VAST Database does not support the type of a field."""
    kind = field.type
    if pt.is_fixed_size_list(kind):
        if kind.list_size < 1:
            raise bad_request(
                "TabularInvalidColumnTypeParam", f"{field.name}: a fixed-size list needs at least one element"
            )
        element = kind.value_field
        is_vector = _is_vector_element(element.type) and not element.nullable
        if not is_vector or kind.list_size * element.type.bit_width // 8 > cell_limit:
            raise bad_request("TabularUnsupportedColumnType", f"{field.name}: {kind}")
    elif pt.is_list(kind):
        check_type(kind.value_field, cell_limit)
    elif pt.is_map(kind):
        check_type(kind.key_field, cell_limit)
        check_type(kind.item_field, cell_limit)
    elif pt.is_struct(kind):
        for child in kind:
            check_type(child, cell_limit)
    elif not _is_scalar(kind):
        raise bad_request("TabularUnsupportedColumnType", f"{field.name}: {kind}")


def _is_vector_element(kind: pa.DataType) -> bool:
    numeric = pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal128(kind)
    return bool(numeric or pt.is_date32(kind) or pt.is_timestamp(kind) or pt.is_time(kind))


def _is_scalar(kind: pa.DataType) -> bool:
    other = pt.is_boolean(kind) or pt.is_string(kind) or pt.is_binary(kind) or pt.is_fixed_size_binary(kind)
    return _is_vector_element(kind) or bool(other)


def check_cells(name: str, cells: pa.Array, limit: int, status: int) -> None:
    """Raise an error with this HTTP status if a cell is larger than `limit` bytes."""
    largest = _largest_cell(cells)
    if largest > limit:
        raise ProtocolError(status, "TabularCellTooLarge", f"{name}: a cell has {largest} bytes; the limit is {limit}")


def _largest_cell(cells: pa.Array) -> int:
    if pt.is_string(cells.type) or pt.is_binary(cells.type):
        return pc.max(pc.binary_length(cells)).as_py() or 0
    if pt.is_list(cells.type) or pt.is_map(cells.type):
        if len(cells) == 0 or cells.nbytes <= 1024:
            return int(cells.nbytes)
        return max(int(cells.slice(i, 1).flatten().nbytes) if pt.is_list(cells.type) else 0 for i in range(len(cells)))
    return 0
