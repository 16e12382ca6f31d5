"""The service and its Storage Backends (`service.json`, `service-post.json`, `storage-backends-list.json`)."""

from __future__ import annotations

from marshmallow import Schema, fields

from tams.api.schemas.base import Body
from tams.api.schemas.fields import LABEL_BYTES, Text


class ServiceChange(Body):
    """The properties of the service that a client may change."""

    name = Text(max_bytes=LABEL_BYTES, metadata={"description": "The service instance name"})
    description = Text(metadata={"description": "The service instance description"})


class EventStreamMechanism(Schema):
    """A way in which the service reports events."""

    name = fields.String(required=True)
    docs = fields.String()


class ServiceDetails(Schema):
    """The service, for the API document (`service.json`)."""

    name = fields.String()
    description = fields.String()
    type = fields.String(required=True)
    api_version = fields.String(required=True)
    service_version = fields.String()
    event_stream_mechanisms = fields.List(fields.Nested(EventStreamMechanism))
    min_object_timeout = fields.String(required=True)
    min_presigned_url_timeout = fields.String(required=True)


class StorageBackendDetails(Schema):
    """A Storage Backend, for the API document (`storage-backends-list.json`)."""

    id = fields.String(required=True)
    label = fields.String()
    store_type = fields.String(required=True)
    provider = fields.String(required=True)
    region = fields.String()
    availability_zone = fields.String()
    store_product = fields.String(required=True)
    tags = fields.Dict()
    default_storage = fields.Boolean()
