"""JSON text columns."""

from __future__ import annotations

from typing import Any

import orjson

from tams.domain.errors import Invalid

_MOST = 126 * 1024
"""What a cell holds, in bytes."""


def encoded(value: Any) -> str:
    """JSON text of a document. `Invalid` where it does not fit into a cell."""
    text = orjson.dumps(value)
    if len(text) > _MOST:
        raise Invalid(f"this database keeps {_MOST} bytes of one thing, and {len(text)} would be needed")
    return text.decode()


def texts_of(column: str) -> tuple[str, ...]:
    """The texts in a column that holds a list of them; mostly there are none."""
    return () if column == "[]" else tuple(orjson.loads(column))
