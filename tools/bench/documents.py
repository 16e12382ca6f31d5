"""The content of the stores that are measured: a Flow of typical size, and Segments of one second each."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

Json = dict[str, Any]

MAX_ALLOCATED = 1000
"""Most Objects that one request allocates."""


def flow(flow_id: str) -> Json:
    """Return a Flow with the properties that a broadcaster would set."""
    return {
        "id": flow_id,
        "source_id": str(uuid4()),
        "label": "Studio 3, programme, high quality",
        "description": "Programme output of studio 3 as H.264 in MPEG transport stream segments",
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "container": "video/mp2t",
        "avg_bit_rate": 5000,
        "max_bit_rate": 8000,
        "generation": 1,
        "segment_duration": {"numerator": 1, "denominator": 1},
        "container_mapping": {"mp2ts_container": {"pid": 256}},
        "tags": {"quality": "high", "place": ["London", "Salford"], "programme": "The Six"},
        "essence_parameters": {
            "frame_rate": {"numerator": 25, "denominator": 1},
            "frame_width": 1920,
            "frame_height": 1080,
            "bit_depth": 8,
            "interlace_mode": "progressive",
            "colorspace": "BT709",
            "transfer_characteristic": "SDR",
            "aspect_ratio": {"numerator": 16, "denominator": 9},
            "pixel_aspect_ratio": {"numerator": 1, "denominator": 1},
            "component_type": "YCbCr",
            "horiz_chroma_subs": 2,
            "vert_chroma_subs": 1,
            "avc_parameters": {"profile": 100, "level": 40, "flags": 0},
        },
    }


def segments(object_ids: list[str], first: int) -> list[Json]:
    """Return Segments of one second from second `first` on, one for each Object, as a recorder registers them."""
    return [
        {
            "object_id": object_id,
            "timerange": f"[{second}:0_{second + 1}:0)",
            "ts_offset": f"{first}:0",
            "sample_offset": 0,
            "sample_count": 25,
            "key_frame_count": 1,
        }
        for second, object_id in enumerate(object_ids, first)
    ]
