"""Objects, their instances, and storage for them, as clients send and receive them, and their queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validates_schema

from tams.api.schemas.base import Body, Query
from tams.api.schemas.fields import Boolean, ByName, Checked, CommaSeparated, Integer, MimeType, Text, Uuid
from tams.api.schemas.get_urls import UrlsQuery
from tams.api.schemas.queries import with_tag_filter
from tams.domain.get_urls import check_label, check_url
from tams.domain.segment_requests import check_object_id


class FlowStorageBody(Body):
    """Body of `POST /flows/{flowId}/storage` (`flow-storage-post.json`)."""

    limit = Integer(minimum=1, metadata={"description": "How many Objects: 10 by default, at most 1000."})
    object_ids = fields.List(
        Checked(check_object_id), metadata={"description": "The ids of the Objects. None of them may exist already."}
    )
    storage_id = Uuid(metadata={"description": "The Storage Backend. If absent, the default one."})
    content_type = MimeType(
        metadata={"description": "The type of initialisation segments, if it differs from the Flow's container."}
    )
    presigned = Boolean(load_default=True, metadata={"description": "Whether the PUT URLs carry their own permission."})

    @pre_load
    def take_alias(self, data: Any, **_: Any) -> Any:
        """Take `content-type`, the name in the operation's text, for `content_type`."""
        if isinstance(data, dict) and "content-type" in data and "content_type" not in data:
            return {**data, "content_type": data["content-type"]}
        return data

    @validates_schema
    def check_either(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse a body with both `limit` and `object_ids`."""
        if "limit" in data and "object_ids" in data:
            raise ValidationError("not together with object_ids", "limit")


class PutUrl(Schema):
    """The URL of an upload (`http-request.json`)."""

    url = fields.String(required=True)
    content_type = fields.String(data_key="content-type", metadata={"description": "The Content-Type to send."})


class AllocatedObject(Schema):
    """Storage for one Object."""

    object_id = fields.String(required=True)
    put_url = fields.Nested(PutUrl, required=True)
    presigned = fields.Boolean(metadata={"description": "Whether the URL carries its own permission."})


class FlowStorage(Schema):
    """The answer to `POST /flows/{flowId}/storage` (`flow-storage.json`)."""

    media_objects = fields.List(fields.Nested(AllocatedObject), required=True)


class GetUrl(Schema):
    """One URL of an Object (`object-core.json`)."""

    url = fields.String(required=True)
    presigned = fields.Boolean()
    label = fields.String()
    controlled = fields.Boolean(metadata={"description": "With `verbose_storage`: whether the store owns the bytes."})
    storage_id = Uuid()
    store_type = fields.String()
    provider = fields.String()
    store_product = fields.String()
    region = fields.String()
    availability_zone = fields.String()
    tags = fields.Dict()


class InitObjectOfObject(Schema):
    """The Object with the initialisation segment that an Object needs."""

    id = fields.String(required=True)
    get_urls = fields.List(fields.Nested(GetUrl))


class ObjectDetails(Schema):
    """The answer to `GET /objects/{objectId}` (`object.json`)."""

    id = fields.String(required=True)
    referenced_by_flows = fields.List(Uuid(), required=True)
    first_referenced_by_flow = Uuid()
    timerange = fields.String(metadata={"description": "On the Object's own timeline; media only."})
    key_frame_count = fields.Integer()
    get_urls = fields.List(fields.Nested(GetUrl))
    init_object = fields.Nested(InitObjectOfObject)


class InstanceBody(Body):
    """Body of `POST /objects/{objectId}/instances` (`objects-instances-post.json`): one of two forms."""

    storage_id = Uuid()
    url = Checked(check_url)
    label = Checked(check_label)

    @validates_schema(skip_on_field_errors=True)
    def check_either(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse a body that is neither of the two forms, or both."""
        uncontrolled = "url" in data and "label" in data
        if "storage_id" in data and uncontrolled:
            raise ValidationError("not together with url and label", "storage_id")
        if "storage_id" not in data and not uncontrolled:
            missing = [name for name in ("url", "label") if name not in data]
            raise ValidationError({name: ["required if there is no storage_id"] for name in missing})


class ObjectQuery(UrlsQuery):
    """Query of `GET /objects/{objectId}`. Loads a `TagFilter` as `flow_tags`."""

    flow_tag_values = ByName(
        CommaSeparated(Text()),
        data_key="flow_tag.{name}",
        metadata={
            "description": "List only referencing Flows whose tag named {name} holds one of the comma-separated values."
        },
    )
    flow_tag_exists = ByName(
        Boolean(),
        data_key="flow_tag_exists.{name}",
        metadata={
            "description": "List only referencing Flows that have a tag named {name} (`true`), or that have none "
            "(`false`)."
        },
    )

    @post_load
    def combine_flow_tags(self, query: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the two kinds of parameters by one `TagFilter`."""
        return with_tag_filter(query, "flow_tags", values="flow_tag_values", exists="flow_tag_exists")


class DeleteInstanceQuery(Query):
    """Query of `DELETE /objects/{objectId}/instances`. One of the two parameters names the instance."""

    storage_id = Uuid(load_default=None, metadata={"description": "The Storage Backend of the instance."})
    label = Text(load_default=None, metadata={"description": "The label of the instance in `get_urls`."})
