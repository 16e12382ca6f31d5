"""The fields of our schemas in the API document.

The type of a field class is registered with the framework. The constraints of a field are asked of the field itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tams.api.schemas import fields, profiles

if TYPE_CHECKING:
    import flask_smorest  # type: ignore[import-untyped]
    import marshmallow
    from apispec.ext.marshmallow.openapi import OpenAPIConverter

_TYPES: Final[dict[type[marshmallow.fields.Field[Any]], tuple[str | None, str | None]]] = {
    fields.Boolean: ("boolean", None),
    fields.ByName: (None, None),
    fields.CommaSeparated: ("string", None),
    fields.Choice: ("string", None),
    fields.Integer: ("integer", None),
    fields.MimeType: ("string", None),
    fields.Tags: ("object", None),
    fields.Text: ("string", None),
    fields.Timerange: ("string", None),
    fields.Url: ("string", "uri"),
    fields.Uuid: ("string", None),
    profiles.FlowMetadata: ("object", None),
}
"""Type and format of each field class and its subclasses."""


def install(api: flask_smorest.Api) -> None:
    """Have the API document describe our fields."""
    for field_class, type_and_format in _TYPES.items():
        api.register_field(field_class, *type_and_format)
    converter = api.ma_plugin.converter
    converter.add_attribute_function(_constraints)
    converter.add_parameter_attribute_function(_delimiter)


def _constraints(
    self: OpenAPIConverter, field: marshmallow.fields.Field[Any], *, ret: dict[str, Any]
) -> dict[str, Any]:
    """Return the constraints of a field; the framework binds this to its converter as a method."""
    if isinstance(field, fields.ByName):
        return dict(self.field2property(field.value))
    if isinstance(field, fields.CommaSeparated):
        # A text for clients, as in the specification, though a list for marshmallow.
        ret.pop("items", None)
    if isinstance(field, (fields.Field, fields.CommaSeparated)):
        return field.constraints()
    return {}


def _delimiter(_: OpenAPIConverter, field: marshmallow.fields.Field[Any], *, ret: dict[str, Any]) -> dict[str, Any]:
    """Take back how a list would be written in a query string: `CommaSeparated` is documented as a text."""
    if isinstance(field, fields.CommaSeparated):
        ret.pop("explode", None)
        ret.pop("style", None)
    return {}
