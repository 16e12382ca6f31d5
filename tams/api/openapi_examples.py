"""Examples in the API document, which "Try it out" fills in.

Together they work on a new store: the ids in paths are those in bodies, and an Object needs no upload. A test sends
each of them.
"""

from __future__ import annotations

from typing import Any, Final

_SOURCE: Final = "6a3f0c52-8f0b-4a55-9a6e-3d7f5a1c2b01"
_FLOW: Final = "2f1d9c70-3b7e-4c1c-8a52-7e0d4b6f9a02"
_PROFILE: Final = "9c4b7e15-52d6-4f38-b1a7-0e8c6d2f5a03"
_OBJECT: Final = "an-object-elsewhere"

_VIDEO: Final[dict[str, Any]] = {
    "format": "urn:x-nmos:format:video",
    "codec": "video/h264",
    "container": "video/mp2t",
    "essence_parameters": {
        "frame_rate": {"numerator": 25, "denominator": 1},
        "frame_width": 1920,
        "frame_height": 1080,
    },
}
_FLOW_DOCUMENT: Final[dict[str, Any]] = {
    "id": _FLOW,
    "source_id": _SOURCE,
    "label": "Camera 1",
    **_VIDEO,
    "tags": {"location": "Studio A"},
}
_NEW_FLOW: Final = {name: value for name, value in _FLOW_DOCUMENT.items() if name != "id"}

PARAMETERS: Final[dict[str, Any]] = {
    "source_id": _SOURCE,
    "flow_id": _FLOW,
    "profile_id": _PROFILE,
    "object_id": _OBJECT,
    "name": "location",
}
"""By name, the parameters of paths that have an example. Other ids are made by the store."""

BODIES: Final[dict[str, Any]] = {
    "POST_service": {"name": "Archive", "description": "The archive of Studio A"},
    "POST_profiles-profileId": {"id": _PROFILE, "label": "1080p25", "flow_metadata": _VIDEO},
    "POST_webhooks": {"url": "https://hooks.example.com/tams", "events": ["flows/created", "flows/updated"]},
    "POST_sources": {"format": "urn:x-nmos:format:video", "label": "Camera 1"},
    "POST_flows": _NEW_FLOW,
    "PUT_flows-flowId": _FLOW_DOCUMENT,
    "POST_flows-flowId-storage": {"limit": 1},
    "POST_flows-flowId-segments": {
        "object_id": _OBJECT,
        "timerange": "[0:0_10:0)",
        "get_urls": [{"url": "https://media.example.com/object.ts", "label": "elsewhere"}],
    },
    "POST_objects-instances": {"url": "https://media.example.com/copy.ts", "label": "copy"},
    "PUT_flows-flowId-flow-collection": [],
    "PUT_flows-flowId-read-only": False,
    "PUT_flows-flowId-max-bit-rate": 10000,
    "PUT_flows-flowId-avg-bit-rate": 8000,
    **{
        f"PUT_{resource}-{name}": value
        for resource in ("sources-sourceId", "flows-flowId")
        for name, value in (("description", "Wide shot"), ("label", "Camera 1"), ("tags-name", "Studio A"))
    },
}
"""By operationId, the bodies in JSON."""
