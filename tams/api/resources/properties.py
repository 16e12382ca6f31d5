"""The child endpoints of a resource: one for each property, and its tags.

If a property is not set, GET answers 404 (or its `unset` value, if it has one), and DELETE answers 204. If a tag does
not exist, both answer 404. Whether the resource exists and may be changed is checked before the body is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from flask import Response
from flask.views import MethodView
from marshmallow import ValidationError, fields, missing

from tams.api import context
from tams.api.blueprint import Blueprint
from tams.api.json_body import json_body
from tams.api.preconditions import FAILED, condition
from tams.api.responses import json_response, no_content
from tams.api.schemas.fields import Tags
from tams.api.validation import from_validation
from tams.domain.errors import NotFound
from tams.domain.flows import Flow, Metadata, Source
from tams.domain.preconditions import Condition
from tams.domain.principals import Principal
from tams.services.store import Store

_TAG_SCHEMA: dict[str, Any] = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_TAGS_SCHEMA: dict[str, Any] = {"type": "object", "additionalProperties": _TAG_SCHEMA}


class Editor(Protocol):
    """A service that changes properties and tags of its resources: a module of `tams.services.flows`."""

    def set_property(
        self,
        store: Store,
        resource_id: str,
        name: str,
        value: Any,
        principal: Principal,
        condition: Condition[Any] | None,
        /,
    ) -> None:
        """Set a property."""

    def unset_property(
        self, store: Store, resource_id: str, name: str, principal: Principal, condition: Condition[Any] | None, /
    ) -> None:
        """Unset a property."""

    def set_tag(
        self,
        store: Store,
        resource_id: str,
        name: str,
        value: Any,
        principal: Principal,
        condition: Condition[Any] | None,
        /,
    ) -> None:
        """Create or replace a tag."""

    def delete_tag(
        self, store: Store, resource_id: str, name: str, principal: Principal, condition: Condition[Any] | None, /
    ) -> None:
        """Remove a tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of resource with child endpoints.

    `metadata` and the checks raise `NotFound` and `Forbidden`. `check_settable` is the check for properties that may be
    set although the resource is read-only.
    """

    noun: str
    path: str
    argument: str
    operation: str
    editor: Editor
    metadata: Callable[[Store, str, Principal], Metadata]
    check_writable: Callable[[Store, str, Principal], None]
    check_settable: Callable[[Store, str, Principal], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property with an endpoint of its own.

    `title` and `description` are for the API document. `field` checks values, and `schema` documents them as JSON
    Schema. `unset` is the value that GET returns if the property is not set; without it, GET is 404. A property that is
    `always_settable` can be set although the resource is read-only.
    """

    name: str
    title: str
    description: str
    field: fields.Field[Any]
    schema: dict[str, Any]
    unset: Any = missing
    deletable: bool = True
    always_settable: bool = False


def add_property(blp: Blueprint, resource: Resource, prop: Property) -> None:
    """Register GET and PUT of `{resource}/{property}`, and DELETE if the property can be unset."""
    operation = f"{resource.operation}-{prop.name.replace('_', '-')}"
    missing_resource = f"The requested {resource.noun} does not exist"
    check = resource.check_settable if prop.always_settable else resource.check_writable

    def check_settable(**path: str) -> None:
        check(context.store(), path[resource.argument], context.principal())

    def on_property(resource_id: str) -> Condition[Any] | None:
        def value(stored: Flow | Source) -> Any:
            return stored.metadata.get(prop.name, prop.unset)

        return condition(f"{prop.name} of {resource.noun} {resource_id}", value)

    class PropertyView(MethodView):
        """One property of a resource."""

        @blp.doc(
            operationId=f"GET_{operation}",
            summary=f"{resource.noun} {prop.title}",
            description=prop.description,
            **_response_schema(prop.schema),
        )
        @blp.response(200)
        @blp.alt_response(
            404, description=f"{missing_resource}{'' if prop.unset is not missing else ', or it has none'}."
        )
        def get(self, **path: str) -> Response:
            metadata = resource.metadata(context.store(), path[resource.argument], context.principal())
            value = metadata.get(prop.name, prop.unset)
            if value is missing:
                raise NotFound(f"{resource.noun} {path[resource.argument]} has no {prop.name}")
            return json_response(value)

        @blp.check_first(check_settable)
        @blp.doc(
            operationId=f"PUT_{operation}",
            summary=f"Set {resource.noun} {prop.title}",
            description=prop.description,
            **_request_schema(prop.schema),
        )
        @blp.response(204, description="The property has been set.")
        @blp.alt_response(400, description=f"Invalid {prop.name}.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{missing_resource}.")
        @blp.alt_response(412, description=FAILED)
        def put(self, **path: str) -> Response:
            value = _loaded(prop.field, prop.name, json_body())
            resource_id = path[resource.argument]
            resource.editor.set_property(
                context.store(), resource_id, prop.name, value, context.principal(), on_property(resource_id)
            )
            return no_content()

    class DeletableView(PropertyView):
        """One property of a resource that can be unset."""

        @blp.doc(operationId=f"DELETE_{operation}", summary=f"Delete {resource.noun} {prop.title}")
        @blp.response(204, description="The property is not set any more.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{missing_resource}.")
        @blp.alt_response(412, description=FAILED)
        def delete(self, **path: str) -> Response:
            resource_id = path[resource.argument]
            resource.editor.unset_property(
                context.store(), resource_id, prop.name, context.principal(), on_property(resource_id)
            )
            return no_content()

    view = DeletableView if prop.deletable else PropertyView
    blp.route(f"{resource.path}/{prop.name}", endpoint=f"{resource.noun}{prop.name}")(view)


def add_tags(blp: Blueprint, resource: Resource) -> None:
    """Register GET of `{resource}/tags`, and GET, PUT and DELETE of `{resource}/tags/{name}`."""
    missing_resource = f"The requested {resource.noun} does not exist"

    def check_writable(**path: str) -> None:
        resource.check_writable(context.store(), path[resource.argument], context.principal())

    def on_tag(resource_id: str, name: str) -> Condition[Any] | None:
        def value(stored: Flow | Source) -> Any:
            return stored.metadata["tags"].get(name, missing)

        return condition(f"tag of {resource.noun} {resource_id}", value)

    @blp.route(f"{resource.path}/tags", endpoint=f"{resource.noun}tags")
    class TagsView(MethodView):
        """All tags of a resource."""

        @blp.doc(
            operationId=f"GET_{resource.operation}-tags",
            summary=f"List {resource.noun} Tags",
            **_response_schema(_TAGS_SCHEMA),
        )
        @blp.response(200, description=f"The tags of the {resource.noun}.")
        @blp.alt_response(404, description=f"{missing_resource}.")
        def get(self, **path: str) -> Response:
            metadata = resource.metadata(context.store(), path[resource.argument], context.principal())
            return json_response(metadata["tags"])

    @blp.route(f"{resource.path}/tags/<text:name>", endpoint=f"{resource.noun}tag")
    class TagView(MethodView):
        """One tag of a resource."""

        @blp.doc(
            operationId=f"GET_{resource.operation}-tags-name",
            summary=f"{resource.noun} Tag Value",
            **_response_schema(_TAG_SCHEMA),
        )
        @blp.response(200, description="The value of the tag.")
        @blp.alt_response(404, description=f"{missing_resource}, or has no such tag.")
        def get(self, name: str, **path: str) -> Response:
            tags = resource.metadata(context.store(), path[resource.argument], context.principal())["tags"]
            if name not in tags:
                raise NotFound(f"{resource.noun} {path[resource.argument]} has no such tag")
            return json_response(tags[name])

        @blp.check_first(check_writable)
        @blp.doc(
            operationId=f"PUT_{resource.operation}-tags-name",
            summary=f"Create or Update {resource.noun} Tag",
            **_request_schema(_TAG_SCHEMA),
        )
        @blp.response(204, description="The tag has been created or updated.")
        @blp.alt_response(400, description="Invalid tag value.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{missing_resource}.")
        @blp.alt_response(412, description=FAILED)
        def put(self, name: str, **path: str) -> Response:
            value = _loaded(_TAGS_FIELD, "tags", {name: json_body()})[name]
            resource_id = path[resource.argument]
            resource.editor.set_tag(
                context.store(), resource_id, name, value, context.principal(), on_tag(resource_id, name)
            )
            return no_content()

        @blp.doc(operationId=f"DELETE_{resource.operation}-tags-name", summary=f"Delete {resource.noun} Tag")
        @blp.response(204, description="The tag has been deleted.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{missing_resource}, or has no such tag.")
        @blp.alt_response(412, description=FAILED)
        def delete(self, name: str, **path: str) -> Response:
            resource_id = path[resource.argument]
            resource.editor.delete_tag(
                context.store(), resource_id, name, context.principal(), on_tag(resource_id, name)
            )
            return no_content()


_TAGS_FIELD = Tags()


def _loaded(field: fields.Field[Any], name: str, value: Any) -> Any:
    """Return the value that the field loads. Raises `Invalid`, with errors under the property's name."""
    try:
        return field.deserialize(value, name)
    except ValidationError as error:
        raise from_validation(ValidationError({name: error.messages})) from error


def _response_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}


def _request_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
