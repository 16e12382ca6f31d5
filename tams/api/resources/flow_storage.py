"""`/flows/{flowId}/storage`: storage for Objects that a client is about to upload."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.responses import json_response
from tams.api.schemas.objects import FlowStorage, FlowStorageBody
from tams.services.flows import flows
from tams.services.objects import allocations
from tams.services.rendering.allocations import allocations_json

blp = Blueprint("flow_storage", __name__, description="The system that stores the Objects referenced by Flow Segments")


def _check_writable(flow_id: str) -> None:
    flows.check_writable(context.store(), flow_id, context.principal())


@blp.route("/flows/<id:flow_id>/storage")
class FlowStorageView(MethodView):
    """Storage of one Flow."""

    @blp.check_first(_check_writable)
    @blp.doc(operationId="POST_flows-flowId-storage", summary="Allocate Initial Flow Storage")
    @blp.arguments(FlowStorageBody, required=False)
    @blp.response(201, FlowStorage, description="Storage locations for writing Objects.")
    @blp.alt_response(400, description="The body is invalid, an id already exists, or the Flow has no container.")
    @blp.alt_response(403, description="The Flow is read-only.")
    @blp.alt_response(404, description="The Flow does not exist.")
    def post(self, body: dict[str, Any], flow_id: str) -> Response:
        """Allocate storage for Objects, which are then uploaded and registered in this Flow."""
        presigned: bool = body["presigned"]
        allocated = allocations.allocate(context.store(), flow_id, context.principal(), **body)
        return json_response(allocations_json(allocated, context.base_url()), 201, signed_urls=presigned)
