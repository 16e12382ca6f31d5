"""Webhooks (`webhook-post.json`, `webhook-put.json`, `webhook-get.json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from marshmallow import Schema, fields

from tams.api.schemas.base import Body
from tams.api.schemas.fields import LABEL_BYTES, Boolean, Checked, Choice, List, Tags, Text, Url, Uuid
from tams.domain.webhooks import EVENT_TYPES, HEADER_BYTES, check_header_name, check_header_value

if TYPE_CHECKING:
    pass

_STATUSES = ("created", "disabled")


class WebhookBody(Body):
    """A webhook as a client registers it."""

    read_only: ClassVar[tuple[str, ...]] = ("id", "error")

    url = Url(
        required=True,
        metadata={
            "description": "The URL that events are sent to, by POST. Private addresses are refused unless the "
            "operator allows them."
        },
    )
    api_key_name = Checked(check_header_name, metadata={"description": "The header that `api_key_value` is sent in."})
    api_key_value = Checked(
        check_header_value,
        max_bytes=HEADER_BYTES,
        load_only=True,
        metadata={"description": "The value by which the receiver recognises the sender. It is never returned."},
    )
    events = List(Choice(EVENT_TYPES), required=True, metadata={"description": "The events to send."})
    flow_ids = List(Uuid(), metadata={"description": "Limit events of Flows and Segments to these Flows."})
    source_ids = List(Uuid(), metadata={"description": "Limit events to these Sources, their Flows and Segments."})
    flow_collected_by_ids = List(
        Uuid(),
        metadata={
            "description": "Limit events of Flows and Segments to Flows that one of these Flows collects; an empty "
            "list: to those that none collects."
        },
    )
    source_collected_by_ids = List(
        Uuid(),
        metadata={
            "description": "Limit events to Sources that one of these Sources collects, their Flows and Segments; an "
            "empty list: to those that none collects."
        },
    )
    accept_get_urls = List(
        Text(max_bytes=LABEL_BYTES),
        metadata={"description": "The labels of the `get_urls` in `flows/segments_added`; an empty list: none."},
    )
    accept_storage_ids = List(
        Uuid(),
        metadata={
            "description": "The ids of the Storage Backends of the `get_urls` in `flows/segments_added`. An empty list "
            "is no filter."
        },
    )
    presigned = Boolean(
        metadata={
            "description": "Only presigned `get_urls` in `flows/segments_added` (`true`), or only the others (`false`)."
        }
    )
    verbose_storage = Boolean(
        metadata={"description": "Include the details of the Storage Backend of each URL in `flows/segments_added`."}
    )
    include_object_timerange = Boolean(
        metadata={"description": "Include the timerange of each Object in `flows/segments_added`."}
    )
    tags = Tags()
    status = Choice(_STATUSES, metadata={"description": "`created` to receive events, `disabled` to receive none."})


class WebhookChange(WebhookBody):
    """A webhook as a client changes it."""

    read_only: ClassVar[tuple[str, ...]] = ("error",)

    id = Uuid(required=True, metadata={"description": "The id in the path."})
    status = Choice(
        _STATUSES,
        required=True,
        metadata={"description": "`created` to receive events, also after an error; `disabled` to receive none."},
    )


class WebhookDetails(WebhookBody):
    """A webhook as the service returns it, for the API document."""

    id = Uuid(required=True, metadata={"description": "Webhook identifier."})
    status = Choice(
        ("created", "started", "disabled", "error"),
        required=True,
        metadata={"description": "`created` until the first event is sent, then `started`."},
    )
    error = fields.Nested(
        Schema.from_dict(
            {
                "type": fields.String(required=True),
                "summary": fields.String(required=True),
                "time": fields.DateTime(required=True),
            },
            name="WebhookError",
        ),
        metadata={"description": "Why the webhook stopped, if its status is `error`."},
    )

    class Meta(WebhookBody.Meta):
        """The key is never returned."""

        exclude = ("api_key_value",)
