"""Bodies of Profiles, as clients send them."""

from __future__ import annotations

from typing import Any

from tams.domain.identifiers import new_id

VIDEO: dict[str, Any] = {
    "format": "urn:x-nmos:format:video",
    "codec": "video/h264",
    "container": "video/mp2t",
    "avg_bit_rate": 2479,
    "segment_duration": {"numerator": 6, "denominator": 1},
    "essence_parameters": {
        "frame_rate": {"numerator": 25, "denominator": 1},
        "frame_width": 1280,
        "frame_height": 720,
    },
}
AUDIO: dict[str, Any] = {
    "format": "urn:x-nmos:format:audio",
    "codec": "audio/aac",
    "container": "audio/mp4",
    "essence_parameters": {"sample_rate": 48000, "channels": 2},
}


def profile(flow_metadata: dict[str, Any] = VIDEO, **properties: Any) -> dict[str, Any]:
    """Return the body of a Profile with a new id."""
    return {"id": new_id(), "flow_metadata": flow_metadata, **properties}
