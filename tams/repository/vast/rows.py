"""JSON text columns, within the size of a cell."""

from __future__ import annotations

from typing import Any

from tams.domain.errors import Invalid
from tams.repository import codecs

_CELL_BYTES = 126 * 1024


def encoded(value: Any) -> str:
    """Return the JSON text of a value.

    Raises:
        Invalid: the text does not fit into a cell of 126 KiB.
    """
    text = codecs.encode(value)
    size = len(text.encode())
    if size > _CELL_BYTES:
        raise Invalid(f"this database keeps {_CELL_BYTES} bytes of one thing, and {size} would be needed")
    return text
