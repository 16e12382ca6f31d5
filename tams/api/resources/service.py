"""`/service` and `/service/storage-backends`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.views import MethodView

import tams
from tams.api.blueprint import Blueprint
from tams.api.context import base_url, principal, store
from tams.api.openapi import API_VERSION
from tams.api.paging import page_request, paged
from tams.api.responses import json_response, no_content
from tams.api.schemas.queries import TaggedListingQuery
from tams.api.schemas.service import ServiceChange, ServiceDetails, StorageBackendDetails
from tams.services import service_info, storage_backends
from tams.services.rendering.service import service_json
from tams.services.rendering.storage_backends import storage_backend_json

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("service", __name__)

_BACKENDS = "storage-backends"


@blp.route("/service")
class Service(MethodView):
    """The service itself."""

    @blp.doc(operationId="GET_service")
    @blp.response(200, ServiceDetails)
    def get(self) -> Response:
        """Service Information

        Provide information about the service.
        """
        return json_response(
            service_json(
                service_info.names(store()),
                store().settings,
                api_version=API_VERSION,
                service_version=tams.__version__,
                docs_url=f"{base_url()}/docs",
            )
        )

    @blp.doc(operationId="POST_service")
    @blp.arguments(ServiceChange)
    @blp.response(200, description="Success. The service info has been updated.")
    @blp.alt_response(400, description="Bad request. Invalid service JSON.")
    def post(self, changes: dict[str, str]) -> Response:
        """Update Service Information

        Update the service info.
        """
        service_info.rename(store(), changes)
        return no_content(200)


@blp.route("/service/storage-backends")
class StorageBackends(MethodView):
    """All Storage Backends."""

    @blp.doc(operationId="GET_storage-backends")
    @blp.arguments(TaggedListingQuery, location="query")
    @blp.response(200, StorageBackendDetails(many=True))
    def get(self, query: dict[str, Any]) -> Response:
        """Storage Backend Information

        The Storage Backends available on this service instance, in alphabetical order of their `label`.
        """
        paging = page_request(query, _BACKENDS)
        reverse: bool = query["reverse_order"]
        page = storage_backends.list_backends(
            store(), query["tags"], reverse=reverse, after=paging.after, limit=paging.limit, principal=principal()
        )
        return paged(
            [storage_backend_json(backend) for backend in page.items],
            count=len(page.items),
            next=page.next,
            request=paging,
            listing=_BACKENDS,
            reverse=reverse,
        )
