"""Storage Backends as JSON."""

from __future__ import annotations

from typing import Any

from tams.storage.port import Backend


def storage_backend_json(backend: Backend) -> dict[str, Any]:
    """Return the Storage Backend as `storage-backends-list.json` describes it."""
    properties = {
        "id": backend.id,
        "label": backend.label,
        "store_type": backend.store_type,
        "provider": backend.provider,
        "region": backend.region,
        "availability_zone": backend.availability_zone,
        "store_product": backend.store_product,
        "tags": dict(backend.tags),
        "default_storage": backend.default,
    }
    return {name: value for name, value in properties.items() if value is not None}
