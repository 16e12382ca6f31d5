"""`/service/webhooks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.views import MethodView

from tams.api.blueprint import Blueprint
from tams.api.context import base_url, principal, store
from tams.api.paging import page_request, paged
from tams.api.responses import json_response, no_content
from tams.api.schemas.queries import TaggedListingQuery
from tams.api.schemas.webhooks import WebhookBody, WebhookChange, WebhookDetails
from tams.services.rendering.webhooks import webhook_json
from tams.services.webhooks import webhooks
from tams.services.webhooks.webhooks import WebhookRequest

if TYPE_CHECKING:
    from flask import Response

blp = Blueprint("webhooks", __name__)

_LISTING = "webhooks"
_NOT_IN_DETAILS = ("id", "api_key_value", "status")
_UNKNOWN = "The requested Webhook ID in the path is invalid."
_INVALID = "Bad request. Invalid parameters or unsupported event filtering or transformation."


@blp.route("/service/webhooks")
class Webhooks(MethodView):
    """All webhooks."""

    @blp.doc(operationId="GET_webhooks")
    @blp.arguments(TaggedListingQuery, location="query")
    @blp.response(200, WebhookDetails(many=True))
    @blp.alt_response(400, description="Bad request. Invalid query options.")
    def get(self, query: dict[str, Any]) -> Response:
        """List Webhook URLs

        The registered webhooks, in alphabetical order of their `url`.
        """
        paging = page_request(query, _LISTING)
        reverse: bool = query["reverse_order"]
        page = webhooks.list_webhooks(
            store(), principal(), query["tags"], reverse=reverse, after=paging.after, limit=paging.limit
        )
        return paged(
            [webhook_json(webhook) for webhook in page.items],
            count=len(page.items),
            next=page.next,
            request=paging,
            listing=_LISTING,
            reverse=reverse,
        )

    @blp.doc(operationId="POST_webhooks")
    @blp.arguments(WebhookBody)
    @blp.response(201, WebhookDetails, description="Success. The webhook has been registered.")
    @blp.alt_response(400, description=_INVALID)
    def post(self, body: dict[str, Any]) -> Response:
        """Register webhook details

        Register a URL to which events are sent as they happen: at least once, in order, signed. See
        docs/reference/webhooks.md.
        """
        return json_response(
            webhook_json(webhooks.register(store(), _webhook_request(body), principal(), base_url())),
            201,
        )


def _check_owned(webhook_id: str) -> None:
    webhooks.check_owned(store(), webhook_id, principal())


@blp.route("/service/webhooks/<id:webhook_id>")
class WebhookResource(MethodView):
    """One webhook."""

    @blp.doc(operationId="GET_webhooks-webhookId")
    @blp.response(200, WebhookDetails)
    @blp.alt_response(404, description=_UNKNOWN)
    def get(self, webhook_id: str) -> Response:
        """Webhook details

        Get the details of a webhook.
        """
        return json_response(webhook_json(webhooks.get(store(), webhook_id, principal())))

    @blp.check_first(_check_owned)
    @blp.doc(operationId="PUT_webhooks")
    @blp.arguments(WebhookChange)
    @blp.response(201, WebhookDetails, description="Success. The webhook has been updated")
    @blp.alt_response(400, description=_INVALID)
    @blp.alt_response(403, description="Forbidden. You do not have permission to modify this resource.")
    @blp.alt_response(404, description=_UNKNOWN)
    def put(self, body: dict[str, Any], webhook_id: str) -> Response:
        """Update webhook details

        Everything is replaced except `api_key_value`, which stays if the body has none. With the `status` `created`,
        waiting events are sent, also after an error.
        """
        webhook = webhooks.replace_webhook(
            store(), webhook_id, body["id"], _webhook_request(body), principal(), base_url()
        )
        return json_response(webhook_json(webhook), 201)

    @blp.doc(operationId="DELETE_webhooks-webhookId")
    @blp.response(204, description="No content. The webhook has been deleted.")
    @blp.alt_response(403, description="Forbidden. You do not have permission to modify this webhook.")
    @blp.alt_response(404, description=_UNKNOWN)
    def delete(self, webhook_id: str) -> Response:
        """Delete Webhook

        Deletes the webhook, and the events that wait to be sent to it.
        """
        webhooks.delete(store(), webhook_id, principal())
        return no_content()


def _webhook_request(body: dict[str, Any]) -> WebhookRequest:
    return WebhookRequest(
        {name: value for name, value in body.items() if name not in _NOT_IN_DETAILS},
        body.get("api_key_value"),
        body.get("status", "created"),
    )
