"""Converters of ids and names in a path to arguments of a view."""

from __future__ import annotations

import re

from flask import Flask
from typing_extensions import override
from werkzeug.routing import BaseConverter, ValidationError

from tams.api.middleware.raw_path import decode_segment, encode_segment
from tams.domain.identifiers import UUID_PATTERN, is_uuid

_LONGEST_SHOWN = 64  # characters of a malformed id in an error


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


def explain_no_route(app: Flask, path: str) -> str:
    """Return the sentence for a path that no route matches: which id in it is malformed, or that there is nothing."""
    for rule in app.url_map.iter_rules():
        ids = re.findall(r"<id:(\w+)>", rule.rule)
        if not ids:
            continue
        pattern = re.sub(r"<(?:\w+:)?(\w+)>", r"(?P<\1>[^/]+)", rule.rule)
        match = re.fullmatch(pattern, path)
        if match is None:
            continue
        for name in ids:
            if not is_uuid(match[name]):
                shown = match[name][:_LONGEST_SHOWN]
                return f"{name}: {shown!r} is not an id; an id is a UUID of version 1 to 5 in lower case"
    return "there is nothing at this path; /openapi.json lists all paths"


def install(app: Flask) -> None:
    """Register the converters, and give each resource one URL: slashes are not merged, and nothing is redirected."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.converters["text"] = TextConverter
    app.url_map.merge_slashes = False
