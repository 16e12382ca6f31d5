"""Documents that the session sends: a small Flow of each format, a Profile, and their ids."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from tools.conformance.session import Session

VIDEO = "urn:x-nmos:format:video"
AUDIO = "urn:x-nmos:format:audio"
IMAGE = "urn:x-tam:format:image"
DATA = "urn:x-nmos:format:data"
MULTI = "urn:x-nmos:format:multi"

_TECHNICAL: dict[str, dict[str, Any]] = {
    VIDEO: {
        "codec": "video/h264",
        "container": "video/mp2t",
        "avg_bit_rate": 5000,
        "segment_duration": {"numerator": 1},
        "essence_parameters": {
            "frame_width": 1920,
            "frame_height": 1080,
            "frame_rate": {"numerator": 25},
            "interlace_mode": "progressive",
        },
    },
    AUDIO: {
        "codec": "audio/aac",
        "container": "video/mp2t",
        "essence_parameters": {"sample_rate": 48000, "channels": 2},
    },
    IMAGE: {
        "codec": "image/jpeg",
        "container": "image/jpeg",
        "essence_parameters": {"frame_width": 640, "frame_height": 360},
    },
    DATA: {
        "codec": "application/ttml+xml",
        "container": "application/ttml+xml",
        "essence_parameters": {"data_type": "urn:x-tams:data:subtitle"},
    },
    MULTI: {"container": "video/mp2t"},
}


def new_id() -> str:
    """Return an id that no store knows."""
    return str(uuid.uuid4())


def technical(content_format: str) -> dict[str, Any]:
    """Return the technical metadata of a Flow of this format."""
    return {"format": content_format, **copy.deepcopy(_TECHNICAL[content_format])}


def flow(content_format: str = VIDEO, **properties: Any) -> dict[str, Any]:
    """Return a Flow with a new id and a new Source; a property whose value is None is omitted."""
    document = {"id": new_id(), "source_id": new_id(), **technical(content_format), **properties}
    return {name: value for name, value in document.items() if value is not None}


def profile(content_format: str = VIDEO, **properties: Any) -> dict[str, Any]:
    """Return a Profile with a new id."""
    return {"id": new_id(), "flow_metadata": technical(content_format), **properties}


def put_flow(session: Session, content_format: str = VIDEO, **properties: Any) -> dict[str, Any]:
    """Create a Flow in the store and return what was sent."""
    document = flow(content_format, **properties)
    session.call("PUT", "/flows/{flowId}", {"flowId": document["id"]}, body=document, expect=201)
    return document


def register(session: Session, flow_id: str, object_id: str, timerange: str, **properties: Any) -> None:
    """Register a Segment; with `get_urls`, of an external Object."""
    segment = {"object_id": object_id, "timerange": timerange, **properties}
    session.call("POST", "/flows/{flowId}/segments", {"flowId": flow_id}, body=segment, expect=201)


def allocate(session: Session, flow_id: str, count: int = 1, **properties: Any) -> list[dict[str, Any]]:
    """Allocate storage for `count` Objects and return the store's `media_objects`."""
    body = {"limit": count, **properties}
    exchange = session.call("POST", "/flows/{flowId}/storage", {"flowId": flow_id}, body=body, expect=201)
    allocated: list[dict[str, Any]] = exchange.json()["media_objects"] if exchange.status == 201 else []
    session.expect("as many objects as the limit asks for", count, len(allocated), exchange)
    return allocated
