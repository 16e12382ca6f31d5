"""The service as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tams.config import Settings
from tams.domain.timerange import NANOSECONDS, format_timestamp

_TYPE = "urn:x-tams:service.tams"


def service_json(
    names: Mapping[str, str], settings: Settings, *, api_version: str, service_version: str, docs_url: str
) -> dict[str, Any]:
    """Return the service as `service.json` describes it; `names` hold `name` and perhaps `description`."""
    return {
        **names,
        "type": _TYPE,
        "api_version": api_version,
        "service_version": service_version,
        "event_stream_mechanisms": [{"name": "webhooks", "docs": docs_url}],
        "min_object_timeout": format_timestamp(settings.min_object_timeout * NANOSECONDS),
        "min_presigned_url_timeout": format_timestamp(settings.min_presigned_url_timeout * NANOSECONDS),
    }
