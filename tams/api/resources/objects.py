"""`/objects`: the Objects that Segments refer to, and the instances of their bytes."""

from __future__ import annotations

from typing import Any, Final

import orjson
from flask import Response
from flask.views import MethodView

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.deletion_responses import deletion_response
from tams.api.get_urls import url_plan
from tams.api.paging import page_request, paged
from tams.api.responses import no_content
from tams.api.schemas.deletion import DeleteQuery
from tams.api.schemas.objects import DeleteInstanceQuery, InstanceBody, ObjectDetails, ObjectQuery
from tams.domain.errors import Invalid
from tams.services.deletion.objects import delete_object
from tams.services.objects import objects
from tams.services.rendering.objects import object_json

_LISTING: Final = "references"
_UNKNOWN: Final = "The Object does not exist, or it is allocated but not yet registered."

blp = Blueprint("objects", __name__, description="The Object in the Storage Backends that contains the media essence")


def _check_readable(object_id: str) -> None:
    objects.check_readable(context.store(), object_id, context.principal())


def _check_writable(object_id: str) -> None:
    objects.check_writable(context.store(), object_id, context.principal())


def _check_deletable(object_id: str) -> None:
    objects.check_deletable(context.store(), object_id, context.principal())


@blp.route("/objects/<text:object_id>")
class ObjectView(MethodView):
    """One Object."""

    @blp.check_before_400(_check_readable)
    @blp.doc(operationId="GET_objects", summary="Object Information")
    @blp.arguments(ObjectQuery, location="query")
    @blp.response(200, ObjectDetails)
    @blp.alt_response(404, description=_UNKNOWN)
    def get(self, query: dict[str, Any], object_id: str) -> Response:
        """Return an Object, and page by page the Flows that refer to it."""
        paging = page_request(query, _LISTING)
        plan = url_plan(query)
        details = objects.get(
            context.store(),
            object_id,
            flow_tags=query["flow_tags"],
            after=paging.after,
            limit=paging.limit,
            principal=context.principal(),
        )
        body = object_json(details.object, details.init_object, details.referenced_by_flows, plan)
        return paged(
            orjson.dumps(body),
            count=len(details.referenced_by_flows),
            next=details.next,
            request=paging,
            listing=_LISTING,
            signed_urls=plan.signed,
        )

    @blp.check_before_400(_check_deletable)
    @blp.doc(operationId="DELETE_objects", summary="Delete Object")
    @blp.arguments(DeleteQuery, location="query")
    @blp.response(204, description="The Object has been deleted, and its storage released.")
    @blp.alt_response(404, description="The Object does not exist.")
    def delete(self, query: dict[str, Any], object_id: str) -> Response:
        """Delete an allocated Object and release its storage. A registered Object needs `cascade=true`."""
        outcome = delete_object(context.store(), object_id, cascade=query["cascade"], principal=context.principal())
        return deletion_response(outcome, cascade=query["cascade"], several=True)


@blp.route("/objects/<text:object_id>/instances")
class Instances(MethodView):
    """The instances of one Object."""

    @blp.check_first(_check_writable)
    @blp.doc(operationId="POST_objects-instances", summary="Register an Object instance")
    @blp.arguments(InstanceBody)
    @blp.response(201, description="Object instance successfully registered.")
    @blp.alt_response(400, description="The body is invalid, or the label is in use.")
    @blp.alt_response(404, description=_UNKNOWN)
    def post(self, body: dict[str, Any], object_id: str) -> Response:
        """Add another URL of the same bytes, or request an instance in a Storage Backend."""
        if "storage_id" in body:
            objects.add_controlled_instance(context.store(), object_id, body["storage_id"], context.principal())
        else:
            objects.add_uncontrolled_instance(
                context.store(), object_id, body["url"], body["label"], context.principal()
            )
        return no_content(201)

    @blp.check_first(_check_writable)
    @blp.doc(operationId="DELETE_objects-instances", summary="Delete an Object instance")
    @blp.arguments(DeleteInstanceQuery, location="query")
    @blp.response(204, description="No content. The Object instance has been deleted.")
    @blp.alt_response(400, description="Neither or both of the parameters, or it is the last instance.")
    @blp.alt_response(404, description=f"{_UNKNOWN} Or it has no such instance.")
    def delete(self, query: dict[str, Any], object_id: str) -> Response:
        """Delete the instance in a Storage Backend, or the one with a label."""
        if (query["storage_id"] is None) == (query["label"] is None):
            message = "one of storage_id and label is required, not both"
            raise Invalid(message, {"storage_id": [message], "label": [message]})
        objects.delete_instance(
            context.store(), object_id, context.principal(), storage_id=query["storage_id"], label=query["label"]
        )
        return no_content()
