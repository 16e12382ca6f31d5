"""Converters of ids and names in a path to arguments of a view."""

from __future__ import annotations

from flask import Flask
from typing_extensions import override
from werkzeug.routing import BaseConverter, ValidationError

from tams.api.middleware.raw_path import decode_segment, encode_segment
from tams.domain.identifiers import UUID_PATTERN


class IdConverter(BaseConverter):
    """`<id:…>`: an id that matches `uuid.json`. Any other path is answered with 404."""

    regex = UUID_PATTERN


class TextConverter(BaseConverter):
    """`<text:…>`: one segment of the undecoded path, which may hold any character, `/` and `%` included.

    U+0000 cannot be stored, so no resource has a name that holds it.
    """

    regex = "[^/]+"

    @override
    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValidationError
        return decode_segment(value)

    @override
    def to_url(self, value: str) -> str:
        return super().to_url(encode_segment(value))


def install(app: Flask) -> None:
    """Register the converters, and give each resource one URL: slashes are not merged, and nothing is redirected."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.converters["text"] = TextConverter
    app.url_map.merge_slashes = False
