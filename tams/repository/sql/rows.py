"""JSON text columns."""

from __future__ import annotations

from typing import Any

import orjson


def encoded(value: Any) -> str:
    """JSON text of a document."""
    return orjson.dumps(value).decode()


def texts_of(column: str) -> tuple[str, ...]:
    """The texts in a column that holds a list of them; mostly there are none."""
    return () if column == "[]" else tuple(orjson.loads(column))
