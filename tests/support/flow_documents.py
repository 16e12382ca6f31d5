"""Flow documents as clients send them, one for each format; tests change them."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.domain.identifiers import new_id

Document = dict[str, Any]


def video(**more: Any) -> Document:
    """Return the document of a video Flow; arguments replace or add properties."""
    essence = {"frame_width": 1920, "frame_height": 1080, "frame_rate": {"numerator": 25}}
    return _flow("video", more, codec="video/h264", container="video/mp2t", essence_parameters=essence)


def audio(**more: Any) -> Document:
    """Return the document of an audio Flow."""
    essence = {"sample_rate": 48000, "channels": 2}
    return _flow("audio", more, codec="audio/aac", container="video/mp2t", essence_parameters=essence)


def image(**more: Any) -> Document:
    """Return the document of a still image Flow."""
    essence = {"frame_width": 320, "frame_height": 180}
    return {**_flow("image", more, codec="image/jpeg", essence_parameters=essence), "format": "urn:x-tam:format:image"}


def data(**more: Any) -> Document:
    """Return the document of a data Flow."""
    return _flow("data", more, codec="application/json", essence_parameters={})


def multi(*members: str | Document, **more: Any) -> Document:
    """Return the document of a multi-essence Flow that collects these Flows, given as ids or as whole items."""
    collection = [{"id": member} if isinstance(member, str) else member for member in members]
    return _flow("multi", more, flow_collection=collection)


def put(client: FlaskClient, document: Document) -> str:
    """Create or replace the Flow; return its id."""
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status_code in (201, 204), answer.text
    return str(document["id"])


def get(client: FlaskClient, flow_id: str) -> Document:
    """Return the Flow's present document."""
    answer = client.get(f"/flows/{flow_id}")
    assert answer.status_code == 200, answer.text
    document: Document = answer.json
    return document


def get_source(client: FlaskClient, source_id: str) -> Document:
    """Return the Source's present document."""
    answer = client.get(f"/sources/{source_id}")
    assert answer.status_code == 200, answer.text
    document: Document = answer.json
    return document


def put_profile(client: FlaskClient, **more: Any) -> str:
    """Create a Profile for video; return its id."""
    profile_id = new_id()
    metadata = {
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "container": "video/mp2t",
        "avg_bit_rate": 5000,
        "essence_parameters": {"frame_width": 1280, "frame_height": 720, "frame_rate": {"numerator": 50}},
        **more,
    }
    answer = client.post(f"/service/profiles/{profile_id}", json={"id": profile_id, "flow_metadata": metadata})
    assert answer.status_code == 201, answer.text
    return profile_id


def put_json(client: FlaskClient, path: str, value: object) -> TestResponse:
    """PUT any JSON value, `null` included; return the response."""
    return client.put(path, data=json.dumps(value), content_type="application/json")


def _flow(content_format: str, more: Document, **properties: Any) -> Document:
    common = {"id": new_id(), "source_id": new_id(), "format": f"urn:x-nmos:format:{content_format}"}
    return {**common, **properties, **more}
