"""Sources as clients send them (`source.json`)."""

from __future__ import annotations

from marshmallow import fields, validate

from tams.api.schemas.base import Body
from tams.api.schemas.fields import LABEL_BYTES, CommaSeparated, Format, Tags, Text, Uuid
from tams.api.schemas.queries import TaggedListingQuery


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


class SourcesQuery(TaggedListingQuery):
    """Query of `GET /sources`."""

    label = Text(metadata={"description": "Filter on Sources that have the given label."})
    sort_by = Text(
        load_default="created",
        validate=validate.OneOf(("created", "updated", "label")),
        metadata={"description": "Times: most recent first; labels: alphabetically. Where unset: by id, at the end."},
    )
    format = Format(metadata={"description": "Filter on Source format."})
    collected_by_ids = CommaSeparated(
        Uuid(),
        metadata={"description": "Collected by one of these Sources; empty: by none at all."},
    )
