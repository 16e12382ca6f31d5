"""`/flows` and `/flows/{flowId}`."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.deletion_responses import deletion_response
from tams.api.paging import page_request, paged
from tams.api.preconditions import FAILED, condition, version_of
from tams.api.responses import json_response, no_content
from tams.api.schemas.delete_requests import DeletedSchema, DeleteRequestSchema
from tams.api.schemas.deletion import DeleteQuery
from tams.api.schemas.flows import FlowQuery, FlowSchema, FlowsQuery, NewFlowSchema
from tams.domain.filters import FlowFilter
from tams.domain.timerange import ETERNITY, TimeRange
from tams.services.deletion.flows import delete_flow
from tams.services.flows import changes, flows
from tams.services.rendering.flows import flow_json, flow_json_with_timerange

blp = Blueprint("flows", __name__, description="Sources which have been rendered to a specific encoding")


def _check_exists(flow_id: str) -> None:
    flows.check_exists(context.store(), flow_id, context.principal())


def _check_replaceable(flow_id: str) -> None:
    flows.check_replaceable(context.store(), flow_id, context.principal())


def _check_deletable(flow_id: str) -> None:
    flows.check_deletable(context.store(), flow_id, context.principal())


def _unless_eternity(timerange: TimeRange) -> TimeRange | None:
    return None if timerange == ETERNITY else timerange


@blp.route("/flows")
class Flows(MethodView):
    """All Flows."""

    @blp.doc(operationId="GET_flows")
    @blp.arguments(FlowsQuery, location="query")
    @blp.response(200, FlowSchema(many=True))
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    def get(self, query: dict[str, Any]) -> Response:
        """List Flows

        List the Flows registered in the TAMS service instance.
        """
        where = FlowFilter(
            source_id=query.get("source_id"),
            timerange=_unless_eternity(query["timerange"]),
            format=query.get("format"),
            codec=query.get("codec"),
            profile_id=query.get("profile_id"),
            label=query.get("label"),
            status=query.get("status"),
            tags=query["tags"],
            frame_width=query.get("frame_width"),
            frame_height=query.get("frame_height"),
            init_segments=query.get("init_segments"),
            collected_by=query.get("collected_by_ids"),
        )
        order, reverse = query["sort_by"], query["reverse_order"]
        listing = f"flows {order}"
        paging = page_request(query, listing)
        page = flows.list_flows(
            context.store(),
            where=where,
            order=order,
            reverse=reverse,
            after=paging.after,
            limit=paging.limit,
            principal=context.principal(),
        )
        return paged(
            [flow_json(flow) for flow in page.items],
            count=len(page.items),
            next=page.next,
            request=paging,
            listing=listing,
            reverse=reverse,
        )

    @blp.doc(operationId="POST_flows")
    @blp.arguments(NewFlowSchema)
    @blp.response(201, FlowSchema, description="The Flow has been created.")
    @blp.alt_response(400, description="Bad request. Invalid Flow JSON.")
    @blp.alt_response(409, description="A Flow with this id already exists.")
    def post(self, document: dict[str, Any]) -> Response:
        """Create Flow

        Create a Flow. The store makes its id if it has none. An extension of this service.
        """
        flow = changes.create(context.store(), document, context.principal())
        return json_response(flow_json(flow), 201, {"Location": f"{context.base_url()}/flows/{flow.id}"})


@blp.route("/flows/<id:flow_id>")
class FlowDetails(MethodView):
    """One Flow."""

    @blp.check_before_400(_check_exists)
    @blp.doc(operationId="GET_flows-flowId")
    @blp.arguments(FlowQuery, location="query")
    @blp.response(200, FlowSchema)
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    @blp.alt_response(404, description="The requested Flow does not exist.")
    def get(self, query: dict[str, Any], flow_id: str) -> Response:
        """Flow Details

        Returns Flow metadata, on request with its `timerange`.
        """
        if not query["include_timerange"]:
            flow = flows.get(context.store(), flow_id, context.principal())
            return json_response(flow_json(flow), version=version_of(flow))
        within = _unless_eternity(query["timerange"])
        flow, timerange = flows.get_with_timerange(context.store(), flow_id, within, context.principal())
        return json_response(flow_json_with_timerange(flow, timerange), version=version_of(flow))

    @blp.check_first(_check_replaceable)
    @blp.doc(operationId="PUT_flows-flowId")
    @blp.arguments(FlowSchema)
    @blp.response(201, FlowSchema, description="The Flow has been created.")
    @blp.alt_response(204, description="No content. The Flow has been updated.")
    @blp.alt_response(400, description="Bad request. Invalid Flow JSON.")
    @blp.alt_response(403, description="You do not have permission to modify this Flow. It may be marked read-only.")
    @blp.alt_response(404, description="The requested Flow ID in the path is invalid.")
    @blp.alt_response(412, description=FAILED)
    def put(self, document: dict[str, Any], flow_id: str) -> Response:
        """Create or Replace Flow

        Create or replace the Flow metadata. Properties that are not in the body are unset.
        """
        flow, created = changes.put(
            context.store(), flow_id, document, context.principal(), condition(f"Flow {flow_id}")
        )
        return json_response(flow_json(flow), 201) if created else no_content()

    @blp.check_before_400(_check_deletable)
    @blp.doc(operationId="DELETE_flows-flowId")
    @blp.arguments(DeleteQuery, location="query")
    @blp.response(
        204, description="No content. The Flow has been deleted, with the Objects that nothing else refers to."
    )
    @blp.alt_response(
        200, schema=DeletedSchema, description="With `cascade=true`: what has been deleted, the Flow included."
    )
    @blp.alt_response(
        202, schema=DeleteRequestSchema, description="The deletion continues in the background, see `Location`."
    )
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    @blp.alt_response(403, description="You do not have permission to modify this Flow. It may be marked read-only.")
    @blp.alt_response(404, description="The requested Flow ID in the path is invalid.")
    @blp.alt_response(409, description="With `cascade=false`: it has Segments or is collected.")
    @blp.alt_response(412, description=FAILED)
    def delete(self, query: dict[str, Any], flow_id: str) -> Response:
        """Delete Flow

        Deletes the Flow and associated Segments.
        """
        outcome = delete_flow(
            context.store(),
            flow_id,
            cascade=query["cascade"],
            principal=context.principal(),
            condition=condition(f"Flow {flow_id}"),
        )
        return deletion_response(outcome, cascade=query["cascade"])
