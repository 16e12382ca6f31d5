"""How ids and names in a path become arguments of a view."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter, ValidationError

from tams.api.middleware.raw_path import decode_segment, encode_segment
from tams.domain.identifiers import UUID_PATTERN


class IdConverter(BaseConverter):
    """`<id:…>`: exactly `uuid.json`. Anything else is no such resource."""

    regex = UUID_PATTERN


class TextConverter(BaseConverter):
    """`<text:…>`: one segment of the undecoded target, of any characters; `/` and `%` among them.

    U+0000 cannot be stored, so there is nothing under a name that holds it.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValidationError
        return decode_segment(value)

    def to_url(self, value: str) -> str:
        return super().to_url(encode_segment(value))


def install(app: Flask) -> None:
    """Make the converters known, and every path mean what it says: no merged slashes, no redirect, no second URL."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.converters["text"] = TextConverter
    app.url_map.merge_slashes = False
