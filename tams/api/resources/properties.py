"""The child endpoints of a resource: one property each, and its tags.

GET of a property that is not set is 404 unless it has a value that stands for "not set"; DELETE of one is 204. A tag
that is not there is 404 for both. Whether the resource exists and may be changed is checked before the body is read.
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
from tams.api.responses import json_answer, no_content
from tams.api.schemas.fields import Tags
from tams.api.validation import from_validation
from tams.domain.errors import NotFound
from tams.domain.flows import Metadata
from tams.domain.principals import Principal
from tams.services.store import Store

_TAG: dict[str, Any] = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_TAGS: dict[str, Any] = {"type": "object", "additionalProperties": _TAG}


class Editor(Protocol):
    """A service whose resources have properties and tags: modules of `tams.services.flows`."""

    def set_property(self, store: Store, resource_id: str, name: str, value: Any, principal: Principal, /) -> None:
        """Set a property."""

    def unset_property(self, store: Store, resource_id: str, name: str, principal: Principal, /) -> None:
        """Unset a property."""

    def set_tag(self, store: Store, resource_id: str, name: str, value: Any, principal: Principal, /) -> None:
        """Create or replace a tag."""

    def delete_tag(self, store: Store, resource_id: str, name: str, principal: Principal, /) -> None:
        """Remove a tag."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of resource with child endpoints. `document` and the checks raise `NotFound` and `Forbidden`;
    `check_settable` is for what may be set where the resource is read-only, too."""

    noun: str
    path: str
    argument: str
    operation: str
    editor: Editor
    document: Callable[[Store, str, Principal], Metadata]
    check_writable: Callable[[Store, str, Principal], None]
    check_settable: Callable[[Store, str, Principal], None]


@dataclass(frozen=True, slots=True)
class Property:
    """A property with an endpoint of its own.

    `title` and `description` are for the API document, `field` says which values it takes and `schema` says it in JSON
    Schema. `unset` is what GET answers where it is not set (404 without). `always_settable`: where it is read-only too.
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
    """Register GET, PUT and, where the property can be unset, DELETE of `{resource}/{property}`."""
    operation = f"{resource.operation}-{prop.name.replace('_', '-')}"
    gone = f"The requested {resource.noun} does not exist"

    class PropertyView(MethodView):
        """One property of a resource."""

        @blp.doc(
            operationId=f"GET_{operation}",
            summary=f"{resource.noun} {prop.title}",
            description=prop.description,
            **_answered(prop.schema),
        )
        @blp.response(200)
        @blp.alt_response(404, description=f"{gone}{'' if prop.unset is not missing else ', or it has none'}.")
        def get(self, **path: str) -> Response:
            document = resource.document(context.store(), path[resource.argument], context.principal())
            value = document.get(prop.name, prop.unset)
            if value is missing:
                raise NotFound(f"{resource.noun} {path[resource.argument]} has no {prop.name}")
            return json_answer(value)

        @blp.doc(
            operationId=f"PUT_{operation}",
            summary=f"Set {resource.noun} {prop.title}",
            description=prop.description,
            **_asked(prop.schema),
        )
        @blp.response(204, description="The property has been set.")
        @blp.alt_response(400, description=f"Invalid {prop.name}.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{gone}.")
        def put(self, **path: str) -> Response:
            resource_id = path[resource.argument]
            check = resource.check_settable if prop.always_settable else resource.check_writable
            check(context.store(), resource_id, context.principal())
            value = _loaded(prop.field, prop.name, json_body())
            resource.editor.set_property(context.store(), resource_id, prop.name, value, context.principal())
            return no_content()

    class DeletableView(PropertyView):
        """One property of a resource, which can be unset."""

        @blp.doc(operationId=f"DELETE_{operation}", summary=f"Delete {resource.noun} {prop.title}")
        @blp.response(204, description="The property is not set any more.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{gone}.")
        def delete(self, **path: str) -> Response:
            resource_id = path[resource.argument]
            resource.editor.unset_property(context.store(), resource_id, prop.name, context.principal())
            return no_content()

    view = DeletableView if prop.deletable else PropertyView
    blp.route(f"{resource.path}/{prop.name}", endpoint=f"{resource.noun}{prop.name}")(view)


def add_tags(blp: Blueprint, resource: Resource) -> None:
    """Register GET of `{resource}/tags`, and GET, PUT and DELETE of `{resource}/tags/{name}`."""
    gone = f"The requested {resource.noun} does not exist"

    @blp.route(f"{resource.path}/tags", endpoint=f"{resource.noun}tags")
    class TagsView(MethodView):
        """All tags of a resource."""

        @blp.doc(operationId=f"GET_{resource.operation}-tags", summary=f"List {resource.noun} Tags", **_answered(_TAGS))
        @blp.response(200, description=f"The tags of the {resource.noun}.")
        @blp.alt_response(404, description=f"{gone}.")
        def get(self, **path: str) -> Response:
            document = resource.document(context.store(), path[resource.argument], context.principal())
            return json_answer(document["tags"])

    @blp.route(f"{resource.path}/tags/<text:name>", endpoint=f"{resource.noun}tag")
    class TagView(MethodView):
        """One tag of a resource."""

        @blp.doc(
            operationId=f"GET_{resource.operation}-tags-name",
            summary=f"{resource.noun} Tag Value",
            **_answered(_TAG),
        )
        @blp.response(200, description="The value of the tag.")
        @blp.alt_response(404, description=f"{gone}, or has no such tag.")
        def get(self, name: str, **path: str) -> Response:
            tags = resource.document(context.store(), path[resource.argument], context.principal())["tags"]
            if name not in tags:
                raise NotFound(f"{resource.noun} {path[resource.argument]} has no such tag")
            return json_answer(tags[name])

        @blp.doc(
            operationId=f"PUT_{resource.operation}-tags-name",
            summary=f"Create or Update {resource.noun} Tag",
            **_asked(_TAG),
        )
        @blp.response(204, description="The tag has been created or updated.")
        @blp.alt_response(400, description="Invalid tag value.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{gone}.")
        def put(self, name: str, **path: str) -> Response:
            resource_id = path[resource.argument]
            resource.check_writable(context.store(), resource_id, context.principal())
            value = _loaded(_ANY_TAGS, "tags", {name: json_body()})[name]
            resource.editor.set_tag(context.store(), resource_id, name, value, context.principal())
            return no_content()

        @blp.doc(operationId=f"DELETE_{resource.operation}-tags-name", summary=f"Delete {resource.noun} Tag")
        @blp.response(204, description="The tag has been deleted.")
        @blp.alt_response(403, description=f"This {resource.noun} may not be changed.")
        @blp.alt_response(404, description=f"{gone}, or has no such tag.")
        def delete(self, name: str, **path: str) -> Response:
            resource_id = path[resource.argument]
            resource.editor.delete_tag(context.store(), resource_id, name, context.principal())
            return no_content()


_ANY_TAGS = Tags()


def _loaded(field: fields.Field[Any], name: str, value: Any) -> Any:
    """The value as the field takes it; what is wrong with it is told under the property's name."""
    try:
        return field.deserialize(value, name)
    except ValidationError as error:
        raise from_validation(ValidationError({name: error.messages})) from error


def _answered(schema: dict[str, Any]) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}


def _asked(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
