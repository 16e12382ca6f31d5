"""`/sources` and the paths below it."""

from __future__ import annotations

from typing import Any, Final

from flask import Response
from flask.views import MethodView

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.deletion_responses import deletion_response
from tams.api.paging import page_request, paged
from tams.api.preconditions import FAILED, condition, version_of
from tams.api.resources.properties import Property, Resource, add_property, add_tags
from tams.api.responses import json_response
from tams.api.schemas.delete_requests import AcceptedRequestsSchema, DeletedSchema
from tams.api.schemas.deletion import DeleteQuery
from tams.api.schemas.fields import LABEL_BYTES, Text
from tams.api.schemas.sources import SourceSchema, SourcesQuery
from tams.domain.filters import SourceFilter
from tams.domain.flows import Metadata
from tams.domain.principals import Principal
from tams.services.deletion.sources import delete_source
from tams.services.flows import sources
from tams.services.rendering.sources import source_json
from tams.services.store import Store

blp = Blueprint("sources", __name__, description="The ephemeral concept of an individual piece of media")


@blp.route("/sources")
class Sources(MethodView):
    """All Sources."""

    @blp.doc(operationId="GET_sources")
    @blp.arguments(SourcesQuery, location="query")
    @blp.response(200, SourceSchema(many=True))
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    def get(self, query: dict[str, Any]) -> Response:
        """List Sources

        List the Sources registered in the TAMS service instance and their details.
        """
        where = SourceFilter(
            label=query.get("label"),
            format=query.get("format"),
            tags=query["tags"],
            collected_by=query.get("collected_by_ids"),
        )
        order, reverse = query["sort_by"], query["reverse_order"]
        listing = f"sources {order}"
        paging = page_request(query, listing)
        page = sources.list_sources(
            context.store(),
            where=where,
            order=order,
            reverse=reverse,
            after=paging.after,
            limit=paging.limit,
            principal=context.principal(),
        )
        return paged(
            [source_json(source) for source in page.items],
            count=len(page.items),
            next=page.next,
            request=paging,
            listing=listing,
            reverse=reverse,
        )

    @blp.doc(operationId="POST_sources")
    @blp.arguments(SourceSchema)
    @blp.response(201, SourceSchema, description="The Source has been created.")
    @blp.alt_response(400, description="Bad request. Invalid Source JSON.")
    @blp.alt_response(409, description="A Source with this id already exists.")
    def post(self, document: dict[str, Any]) -> Response:
        """Create Source

        Declare a Source, which stays until it is deleted. An extension of this service.
        """
        source = sources.create(context.store(), document, context.principal())
        return json_response(source_json(source), 201, {"Location": f"{context.base_url()}/sources/{source.id}"})


def _check_deletable(source_id: str) -> None:
    sources.check_deletable(context.store(), source_id, context.principal())


@blp.route("/sources/<id:source_id>")
class SourceDetails(MethodView):
    """One Source."""

    @blp.doc(operationId="GET_sources-sourceId")
    @blp.response(200, SourceSchema)
    @blp.alt_response(404, description="The requested Source does not exist.")
    def get(self, source_id: str) -> Response:
        """Source Details

        Returns Source metadata.
        """
        source = sources.get(context.store(), source_id, context.principal())
        return json_response(source_json(source), version=version_of(source))

    @blp.check_before_400(_check_deletable)
    @blp.doc(operationId="DELETE_sources-sourceId")
    @blp.arguments(DeleteQuery, location="query")
    @blp.response(204, description="No content. The Source has been deleted.")
    @blp.alt_response(
        200,
        schema=DeletedSchema,
        description="With `cascade=true`: what has been deleted, its Flows and their Segments included.",
    )
    @blp.alt_response(
        202, schema=AcceptedRequestsSchema, description="The deletion continues in the background, see `Location`."
    )
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    @blp.alt_response(403, description="A read-only Flow would be deleted.")
    @blp.alt_response(404, description="The requested Source does not exist.")
    @blp.alt_response(409, description="Without `cascade=true`: it has Flows or is collected.")
    @blp.alt_response(412, description=FAILED)
    def delete(self, query: dict[str, Any], source_id: str) -> Response:
        """Delete Source

        Deletes the Source. An extension of this service.
        """
        outcome = delete_source(
            context.store(),
            source_id,
            cascade=query["cascade"],
            principal=context.principal(),
            condition=condition(f"Source {source_id}"),
        )
        return deletion_response(outcome, cascade=query["cascade"], several=True)


def _metadata(store: Store, source_id: str, principal: Principal) -> Metadata:
    return sources.get(store, source_id, principal).metadata


_TEXT_SCHEMA: Final[dict[str, Any]] = {"type": "string"}
_SOURCE: Final = Resource(
    noun="Source",
    path="/sources/<id:source_id>",
    argument="source_id",
    operation="sources-sourceId",
    editor=sources,
    metadata=_metadata,
    check_writable=sources.check_writable,
    check_settable=sources.check_writable,
)

add_tags(blp, _SOURCE)
add_property(
    blp,
    _SOURCE,
    Property(
        name="description",
        title="Description",
        description="The description of the Source for human readers.",
        field=Text(),
        schema=_TEXT_SCHEMA,
    ),
)
add_property(
    blp,
    _SOURCE,
    Property(
        name="label",
        title="Label",
        description="A short name for listings.",
        field=Text(max_bytes=LABEL_BYTES),
        schema=_TEXT_SCHEMA,
    ),
)
