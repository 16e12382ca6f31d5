"""Sources as clients send them (`source.json`)."""

from __future__ import annotations

from marshmallow import fields

from tams.api.schemas.fields import LABEL_BYTES, Body, Format, Tags, Text, Uuid


class SourceSchema(Body):
    """A Source for `POST /sources`: its id is made where it is left out."""

    id = Uuid()
    format = Format(required=True)
    label = Text(max_bytes=LABEL_BYTES)
    description = Text()
    created_by = Text()
    updated_by = Text()
    tags = Tags()
    # What the store keeps: shown, and dropped where it is sent.
    created = fields.DateTime(dump_only=True)
    updated = fields.DateTime(dump_only=True)
    source_collection = fields.List(fields.Dict(), dump_only=True)
    collected_by = fields.List(Uuid(), dump_only=True)
