"""Sources as clients send them (`source.json`), and the query of their listing."""

from __future__ import annotations

from marshmallow import fields, validate

from tams.api.schemas.base import Body
from tams.api.schemas.fields import LABEL_BYTES, CommaSeparated, Format, Tags, Text, Uuid
from tams.api.schemas.queries import TaggedListingQuery


class SourceSchema(Body):
    """A Source for `POST /sources`. The store makes its id if it has none."""

    id = Uuid()
    format = Format(required=True)
    label = Text(max_bytes=LABEL_BYTES)
    description = Text()
    created_by = Text()
    updated_by = Text()
    tags = Tags()
    # Only the store sets these. They are dropped from bodies.
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
        metadata={
            "description": "Times: most recent first; labels: alphabetically. Sources without a value come last, by id."
        },
    )
    format = Format(metadata={"description": "Filter on Source format."})
    collected_by_ids = CommaSeparated(
        Uuid(),
        metadata={
            "description": "Sources that one of these Sources collects; an empty list: Sources that none collects."
        },
    )
