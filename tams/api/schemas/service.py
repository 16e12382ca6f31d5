"""`service-post.json`."""

from __future__ import annotations

from tams.api.schemas.fields import LABEL_BYTES, Body, Text


class ServiceChange(Body):
    """What a client may change of the service."""

    name = Text(max_bytes=LABEL_BYTES, metadata={"description": "The service instance name"})
    description = Text(metadata={"description": "The service instance description"})
