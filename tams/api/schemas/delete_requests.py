"""Flow Delete Requests (`deletion-request.json`), the outcomes of deletions, and the query of the listing."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from tams.api.schemas.fields import Text
from tams.api.schemas.queries import ListingQuery


class DeleteRequestSchema(Schema):
    """A deletion that runs in the background."""

    id = fields.String(required=True)
    flow_id = fields.String(required=True)
    timerange_to_delete = fields.String(required=True)
    timerange_remaining = fields.String()
    delete_flow = fields.Boolean(required=True)
    created = fields.DateTime()
    created_by = fields.String()
    updated = fields.DateTime()
    expiry = fields.DateTime(metadata={"description": "When this record is removed; set once the deletion has ended."})
    status = fields.String(required=True, validate=validate.OneOf(["created", "started", "done", "error"]))
    error = fields.Dict(metadata={"description": "Why the deletion stopped."})


class DeletedCounts(Schema):
    """The number of deleted resources of each kind."""

    sources = fields.Integer(required=True)
    flows = fields.Integer(required=True)
    segments = fields.Integer(required=True)
    objects = fields.Integer(required=True)


class DeletedSchema(Schema):
    """The answer to a deletion with `cascade=true`."""

    deleted = fields.Nested(DeletedCounts, required=True)


class AcceptedRequestsSchema(Schema):
    """The ids of the Flow Delete Requests that carry out one deletion."""

    requests = fields.List(fields.String(), required=True)


class DeleteRequestsQuery(ListingQuery):
    """Query of `GET /flow-delete-requests`."""

    sort_by = Text(
        load_default="created",
        validate=validate.OneOf(("created", "expiry")),
        metadata={"description": "Most recent first. Requests without a value come last, by id."},
    )
