"""`/flows/{flowId}/segments`: the Segments of a Flow."""

from __future__ import annotations

from typing import Any, BinaryIO, Final, cast

from flask import Response, request
from flask.views import MethodView
from werkzeug.exceptions import HTTPException

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.deletion_responses import deletion_response
from tams.api.foreign_pages import refuse_foreign_page
from tams.api.get_urls import url_plan
from tams.api.json_body import json_body
from tams.api.paging import page_request, paged
from tams.api.responses import json_response, no_content
from tams.api.schemas.deletion import DeleteSegmentsQuery
from tams.api.schemas.segments import FailedSegments, SegmentBody, SegmentDetails, SegmentsQuery, SegmentUpload
from tams.api.transfers import begin_transfer
from tams.api.upload_form import FORM, UploadForm
from tams.domain.errors import Invalid
from tams.domain.get_urls import UrlFilter
from tams.domain.segment_requests import parse_requests
from tams.services.deletion.segments import delete_segments
from tams.services.flows import flows
from tams.services.rendering.fast_segments import json_array, segment_texts
from tams.services.rendering.get_urls import UrlPlan
from tams.services.rendering.segments import failed_segments_json
from tams.services.segments import registration, segments

_LISTING: Final = "segments"

blp = Blueprint("segments", __name__, description="A timerange Segment of a Flow that references a media Object")


def _check_writable(flow_id: str) -> None:
    flows.check_writable(context.store(), flow_id, context.principal())


def _check_deletable(flow_id: str) -> None:
    flows.check_deletable(context.store(), flow_id, context.principal())


@blp.route("/flows/<id:flow_id>/segments")
class Segments(MethodView):
    """The Segments of one Flow."""

    @blp.doc(operationId="GET_flows-flowId-segments", summary="List Flow Segments")
    @blp.arguments(SegmentsQuery, location="query")
    @blp.response(200, SegmentDetails(many=True))
    @blp.alt_response(404, description="The Flow ID in the path is invalid.")
    def get(self, query: dict[str, Any], flow_id: str) -> Response:
        """List the Segments in time order. For a Flow that does not exist the list is empty."""
        paging = page_request(query, _LISTING)
        plan = url_plan(query)
        page = segments.list_segments(
            context.store(),
            flow_id,
            overlapping=query["timerange"],
            object_id=query["object_id"],
            reverse=query["reverse_order"],
            after=paging.after,
            limit=paging.limit,
            with_instances=not plan.shows_nothing,
            principal=context.principal(),
        )
        texts = segment_texts(
            page.segments, page.instances, plan, include_object_timerange=query["include_object_timerange"]
        )
        return paged(
            json_array(texts),
            count=len(texts),
            next=page.next,
            request=paging,
            listing=_LISTING,
            reverse=page.reverse,
            headers={"X-Paging-Timerange": str(page.timerange)},
            signed_urls=plan.signed,
        )

    @blp.doc(
        operationId="POST_flows-flowId-segments",
        summary="Create Flow Segments",
        requestBody={
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [SegmentBody, {"type": "array", "items": SegmentBody}]},
                },
                FORM: {"schema": SegmentUpload},
            },
        },
    )
    @blp.response(201, description="All Segments have been registered. The answer to an upload is the Segment.")
    @blp.alt_response(200, schema=FailedSegments, description="Some or all Segments of the list were refused.")
    @blp.alt_response(400, description="The body is invalid, the Segment is refused, or the Flow has no container.")
    @blp.alt_response(403, description="The Flow is read-only.")
    @blp.alt_response(404, description="The Flow does not exist.")
    def post(self, flow_id: str) -> Response:
        """Register a Segment or a list of them; as multipart/form-data, one Segment together with its bytes."""
        if request.mimetype == FORM:
            _check_writable(flow_id)
            refuse_foreign_page()
            return _upload(flow_id)
        if "Expect" in request.headers:
            # Before the body is read, because this asks the client to send it.
            _check_writable(flow_id)
        try:
            body = json_body()
            segment_requests = parse_requests(body)
        except (Invalid, HTTPException):
            # 404 and 403 take precedence over faults of the body. For a valid body the registration raises them: a
            # check before each registration would cost as much as reading a Flow.
            _check_writable(flow_id)
            raise
        failed = registration.register(context.store(), flow_id, segment_requests, context.principal())
        if not failed:
            return no_content(201)
        if not isinstance(body, list):
            raise failed[0].error
        return json_response(failed_segments_json(failed, context.store().now()))

    @blp.check_first(_check_deletable)
    @blp.doc(operationId="DELETE_flows-flowId-segments", summary="Delete Flow Segment")
    @blp.arguments(DeleteSegmentsQuery, location="query")
    @blp.response(204, description="The Segments have been deleted, with the Objects that nothing else refers to.")
    @blp.alt_response(403, description="The Flow is read-only.")
    @blp.alt_response(404, description="The Flow does not exist.")
    def delete(self, query: dict[str, Any], flow_id: str) -> Response:
        """Delete the Segments that lie wholly inside the timerange."""
        outcome = delete_segments(
            context.store(),
            flow_id,
            within=query["timerange"],
            object_id=query["object_id"],
            cascade=query["cascade"],
            principal=context.principal(),
        )
        return deletion_response(outcome, cascade=query["cascade"])


def _upload(flow_id: str) -> Response:
    """Read `segment_data`, then store `file` as it arrives, and register the Segment."""
    store = context.store()
    form = UploadForm(store.settings)
    release = begin_transfer()
    try:
        segment, instances = registration.upload(
            store,
            flow_id,
            form.segment_request,
            cast("BinaryIO", form),
            context.principal(),
            checksums=form.checksums,
        )
    finally:
        release()
    plan = UrlPlan(store, UrlFilter(), context.base_url(), store.access(context.principal()))
    (text,) = segment_texts([segment], instances, plan, include_object_timerange=False)
    return json_response(text.encode(), 201, signed_urls=plan.signed)
