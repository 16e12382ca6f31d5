"""`/service` and `/service/storage-backends`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.views import MethodView

import tams
from tams.api.context import base_url, principal, store
from tams.api.json_body import Blueprint
from tams.api.openapi import API_VERSION
from tams.api.paging import page_request, paged
from tams.api.responses import json_answer, no_content
from tams.api.schemas.queries import tag_filter
from tams.api.schemas.service import ServiceChange
from tams.api.schemas.tagged import TaggedListingQuery
from tams.domain.timerange import NANOSECONDS, format_timestamp
from tams.services import service_info, storage_backends

if TYPE_CHECKING:
    from flask import Response

    from tams.storage.port import Backend

blp = Blueprint("service", __name__)

_TYPE = "urn:x-tams:service.tams"
_BACKENDS = "storage-backends"


@blp.route("/service")
class Service(MethodView):
    """The service itself."""

    @blp.doc(operationId="GET_service")
    @blp.response(200, {"type": "object"})
    def get(self) -> Response:
        """Service Information

        Provide information about the service.
        """
        settings = store().settings
        return json_answer(
            {
                **service_info.names(store()),
                "type": _TYPE,
                "api_version": API_VERSION,
                "service_version": tams.__version__,
                "event_stream_mechanisms": [{"name": "webhooks", "docs": f"{base_url()}/docs"}],
                "min_object_timeout": format_timestamp(settings.min_object_timeout * NANOSECONDS),
                "min_presigned_url_timeout": format_timestamp(settings.min_presigned_url_timeout * NANOSECONDS),
            }
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
    """The places where the bytes are."""

    @blp.doc(operationId="GET_storage-backends")
    @blp.arguments(TaggedListingQuery, location="query")
    @blp.response(200, {"type": "array", "items": {"type": "object"}})
    def get(self, query: dict[str, Any]) -> Response:
        """Storage Backend Information

        The Storage Backends available on this service instance, in alphabetical order of their `label`.
        """
        wanted = page_request(query, _BACKENDS)
        reverse: bool = query["reverse_order"]
        page = storage_backends.list_backends(
            store(), tag_filter(), reverse=reverse, after=wanted.after, limit=wanted.limit, principal=principal()
        )
        return paged(
            [_shown(backend) for backend in page.items],
            count=len(page.items),
            next=page.next,
            request=wanted,
            listing=_BACKENDS,
            reverse=reverse,
        )


def _shown(backend: Backend) -> dict[str, Any]:
    """A Storage Backend as `storage-backends-list.json` has it."""
    shown = {
        "id": backend.id,
        "label": backend.label,
        "store_type": backend.store_type,
        "provider": backend.provider,
        "region": backend.region,
        "availability_zone": backend.availability_zone,
        "store_product": backend.store_product,
        "tags": dict(backend.tags),
        "default_storage": backend.default,
    }
    return {name: value for name, value in shown.items() if value is not None}
