"""Multipart requests that register a Segment together with its bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

BOUNDARY = "frontier"


SEGMENT = {"timerange": "[0:0_1:0)"}


def body_of(*parts: tuple[str, bytes], end: str = "--") -> bytes:
    """Encode a multipart body with these parts."""
    pieces = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in parts
    ]
    return b"".join(pieces) + f"--{BOUNDARY}{end}\r\n".encode()


def send(client: FlaskClient, flow_id: str, body: bytes, headers: Mapping[str, str] | None = None) -> TestResponse:
    """Send a multipart body to the Flow's Segments; return the response."""
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    return client.post(f"/flows/{flow_id}/segments", data=body, content_type=content_type, headers=headers)


def upload(client: FlaskClient, flow_id: str, segment: Any, media: bytes = b"media") -> TestResponse:
    """Register a Segment together with its bytes; return the response."""
    return send(client, flow_id, body_of(("segment_data", json.dumps(segment).encode()), ("file", media)))
