"""Sources as JSON."""

from __future__ import annotations

from typing import Any

from tams.domain.clock import format_time
from tams.domain.flows import Source


def source_json(source: Source) -> dict[str, Any]:
    """Return the Source as `source.json` describes it."""
    body = {**source.metadata, "created": format_time(source.created), "updated": format_time(source.updated)}
    if source.collection:
        body["source_collection"] = source.collection
    if source.collected_by:
        body["collected_by"] = source.collected_by
    return body
