"""The shape of a Flow Delete Request, for the API document (`deletion-request.json`)."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class DeleteRequestSchema(Schema):
    """A deletion that goes on in the background."""

    id = fields.String(required=True)
    flow_id = fields.String(required=True)
    timerange_to_delete = fields.String(required=True)
    timerange_remaining = fields.String()
    delete_flow = fields.Boolean(required=True)
    created = fields.DateTime()
    created_by = fields.String()
    updated = fields.DateTime()
    expiry = fields.DateTime(metadata={"description": "When this record will be forgotten; set once it has ended."})
    status = fields.String(required=True, validate=validate.OneOf(["created", "started", "done", "error"]))
    error = fields.Dict(metadata={"description": "Why it had to stop."})
