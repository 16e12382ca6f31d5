"""`/flow-delete-requests`: the progress of deletions that run in the background."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.deletion_responses import DELETE_REQUESTS_PATH
from tams.api.paging import page_request, paged
from tams.api.responses import json_response
from tams.api.schemas.delete_requests import DeleteRequestSchema, DeleteRequestsQuery
from tams.services.deletion import delete_requests
from tams.services.rendering.deletions import delete_request_json

blp = Blueprint(
    "FlowDeleteRequests",
    __name__,
    description="Resource for monitoring long running deletion of Flows and Flow Segments.",
)


@blp.route(DELETE_REQUESTS_PATH)
class DeleteRequests(MethodView):
    """All requests that are in progress or ended recently."""

    @blp.doc(operationId="GET_flow-delete-requests", summary="List Flow Delete Requests")
    @blp.arguments(DeleteRequestsQuery, location="query")
    @blp.response(200, DeleteRequestSchema(many=True))
    def get(self, query: dict[str, Any]) -> Response:
        """List deletion requests, most recent first."""
        order, reverse = query["sort_by"], query["reverse_order"]
        listing = f"flow-delete-requests {order}"
        paging = page_request(query, listing)
        page = delete_requests.list_requests(
            context.store(), order=order, reverse=reverse, after=paging.after, limit=paging.limit
        )
        return paged(
            [delete_request_json(accepted) for accepted in page.items],
            count=len(page.items),
            next=page.next,
            request=paging,
            listing=listing,
            reverse=reverse,
        )


@blp.route(f"{DELETE_REQUESTS_PATH}/<text:request_id>")
class DeleteRequestDetails(MethodView):
    """One request."""

    @blp.doc(operationId="GET_flow-delete-requests-request-id", summary="Flow Delete Request Details")
    @blp.response(200, DeleteRequestSchema)
    @blp.alt_response(403, description="You do not have permission to delete the Flow of the request.")
    @blp.alt_response(404, description="The requested Flow delete request does not exist.")
    def get(self, request_id: str) -> Response:
        """Get information about Segments that are being deleted."""
        return json_response(delete_request_json(delete_requests.get(context.store(), request_id, context.principal())))
