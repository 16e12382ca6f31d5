"""JSON texts: how adapters store values that have no columns of their own."""

from __future__ import annotations

from typing import Any

import orjson

from tams.domain.events import Event


def encode(value: Any) -> str:
    """Return the JSON text of a document, a list or a dataclass."""
    return orjson.dumps(value).decode()


def decode_list(text: str) -> tuple[Any, ...]:
    """Return the items of a JSON list."""
    # Most lists are empty: a Flow or Source that is collected by no other, and collects none.
    return () if text == "[]" else tuple(orjson.loads(text))


def decode_event(text: str) -> Event:
    """Return the event that `encode` wrote."""
    fields = orjson.loads(text)
    for name in ("flow_collected_by", "source_collected_by", "classes"):
        fields[name] = tuple(fields[name])
    return Event(**fields)
