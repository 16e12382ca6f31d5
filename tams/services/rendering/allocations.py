"""Storage for Objects to come, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tams.services.objects.allocations import Allocation


def allocations_json(allocations: Iterable[Allocation], base_url: str) -> dict[str, Any]:
    """Return the allocations as `flow-storage.json` describes them; `base_url` is put before URLs on this service."""
    return {"media_objects": [_allocation_json(allocation, base_url) for allocation in allocations]}


def _allocation_json(allocation: Allocation, base_url: str) -> dict[str, Any]:
    url = allocation.put_url
    body: dict[str, Any] = {
        "object_id": allocation.object_id,
        "put_url": {
            "url": base_url + url if url.startswith("/") else url,
            "content-type": allocation.content_type,
        },
    }
    if allocation.presigned:
        body["presigned"] = True
    return body
