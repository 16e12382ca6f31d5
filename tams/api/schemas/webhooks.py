"""`webhook-post.json`, `webhook-put.json`, `webhook-get.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from tams.api.schemas.fields import LABEL_BYTES, Body, Boolean, Tags, Text, Url, Uuid
from tams.domain.webhooks import EVENT_TYPES, HEADER_BYTES, check_header_name, check_header_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_STATUSES = ("created", "disabled")


class _Choice(Text):
    """One of several words."""

    def __init__(self, words: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(metadata={"enum": list(words)} | dict(kwargs.pop("metadata", {})), **kwargs)
        self.words = words

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValidationError("expected one of " + ", ".join(self.words))
        return value


class _Checked(Text):
    """A text that a rule of the domain accepts."""

    def __init__(self, check: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return self.check(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class _List(fields.Field[list[str]]):
    """A list of texts."""

    def __init__(self, of: Text | Uuid, **kwargs: Any) -> None:
        items = {"type": "string", **of.metadata}
        super().__init__(metadata={"type": "array", "items": items} | dict(kwargs.pop("metadata", {})), **kwargs)
        self.of = of

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[str]:
        if not isinstance(value, list):
            raise ValidationError("expected a list")
        items: list[str] = []
        errors: dict[int, list[Any]] = {}
        for index, item in enumerate(value):
            try:
                items.append(self.of.deserialize(item, attr, data))
            except ValidationError as error:
                errors[index] = list(error.messages)
        if errors:
            raise ValidationError(errors)
        return items


class WebhookBody(Body):
    """A webhook as a client registers it."""

    read_only: ClassVar[tuple[str, ...]] = ("id", "error")

    url = Url(required=True, metadata={"description": "Where events are sent to, by POST. Not inside, unless allowed."})
    api_key_name = _Checked(check_header_name, metadata={"description": "The header that `api_key_value` is sent in."})
    api_key_value = _Checked(
        check_header_value,
        max_bytes=HEADER_BYTES,
        load_only=True,
        metadata={"description": "By this the receiver knows the sender. Never answered."},
    )
    events = _List(_Choice(EVENT_TYPES), required=True, metadata={"description": "The events to send."})
    flow_ids = _List(Uuid(), metadata={"description": "Limit events of Flows and Segments to these Flows."})
    source_ids = _List(Uuid(), metadata={"description": "Limit events to these Sources, their Flows and Segments."})
    flow_collected_by_ids = _List(
        Uuid(),
        metadata={
            "description": "Limit events of Flows and Segments to Flows that one of these Flows collects; an empty "
            "list: to those that none collects."
        },
    )
    source_collected_by_ids = _List(
        Uuid(),
        metadata={
            "description": "Limit events to Sources that one of these Sources collects, their Flows and Segments; an "
            "empty list: to those that none collects."
        },
    )
    accept_get_urls = _List(
        Text(max_bytes=LABEL_BYTES),
        metadata={"description": "The labels of the `get_urls` in `flows/segments_added`; an empty list: none."},
    )
    accept_storage_ids = _List(
        Uuid(),
        metadata={
            "description": "The ids of the Storage Backends of the `get_urls` in `flows/segments_added`. An empty list "
            "is no filter."
        },
    )
    presigned = Boolean(
        metadata={"description": "Only presigned `get_urls` in `flows/segments_added`, or only those that are not."}
    )
    verbose_storage = Boolean(
        metadata={"description": "Tell about the Storage Backend of each URL in `flows/segments_added`."}
    )
    include_object_timerange = Boolean(
        metadata={"description": "Tell the timerange of each Object in `flows/segments_added`."}
    )
    tags = Tags()
    status = _Choice(_STATUSES, metadata={"description": "`created` to have events sent, `disabled` to have none."})


class WebhookChange(WebhookBody):
    """A webhook as a client changes it."""

    read_only: ClassVar[tuple[str, ...]] = ("error",)

    id = Uuid(required=True, metadata={"description": "The id in the path."})
    status = _Choice(
        _STATUSES,
        required=True,
        metadata={"description": "`created` to have events sent, after an error too; `disabled` to have none."},
    )


class WebhookDetails(WebhookBody):
    """A webhook as it is answered, for the API document."""

    id = Uuid(required=True, metadata={"description": "Webhook identifier."})
    status = _Choice(
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
        metadata={"description": "Why it stopped, where it is in error."},
    )

    class Meta(WebhookBody.Meta):
        """What is never answered."""

        exclude = ("api_key_value",)
