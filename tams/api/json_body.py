"""Request bodies in JSON, read strictly."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
from flask import request
from marshmallow import missing
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from tams.api.foreign_pages import refuse_foreign_page
from tams.api.validation import BODY, invalid
from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_DEPTH: Final = 100
"""Levels of nesting that a body may have. Stored values are serialized again, so the limit protects answers, too."""

_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**63 - 1
# 2**63 - 1 rounded to the nearest float.
_MAX_FLOAT: Final = 2.0**63
_MAX_DIGITS: Final = 20
_CHUNK_BYTES: Final = 64 * 1024
_MAX_DISCARDED_BYTES: Final = 64 * 1024 * 1024
_JSON_TYPE: Final = re.compile(r"application/(?:[\w.!#$&^-]+\+)?json", re.ASCII)


class _OversizedInteger:
    """The placeholder for an integer that does not fit into signed 64 bits."""


def json_body() -> Any:
    """Return the JSON value of the request body. A body without a content type is taken as JSON.

    Raises:
        UnsupportedMediaType: The body is declared as something else than JSON in UTF-8, or it has no content type and
            a page of another website sent it (415).
        Invalid: The body is absent, does not parse, or holds a value that no repository can store: U+0000, a lone
            surrogate, an integer beyond signed 64 bits.
    """
    value = optional_json_body()
    if value is missing:
        raise Invalid("A body in JSON is required.", {BODY: ["required"]})
    return value


def optional_json_body() -> Any:
    """Return the JSON value of the request body, or marshmallow's `missing` if there is no body.

    Raises the errors of `json_body` for a body that is there.
    """
    content = _content()
    if not request.mimetype:
        refuse_foreign_page()
    if not content and (not request.mimetype or _JSON_TYPE.fullmatch(request.mimetype)):
        return missing
    _check_media_type()
    return parse_json(content)


def parse_json(content: bytes, name: str = BODY) -> Any:
    """Return the JSON value of `content`, which the client sent as `name`.

    Raises `Invalid` if `content` does not parse or holds a value that no repository can store.
    """
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The {name} is not valid JSON: {error}.", {name: [str(error)]}) from error
    if not _is_storable(value):
        errors = dict(_faults(json.loads(content, parse_int=_integer), ""))
        if errors:
            raise invalid(errors)
    return value


def _content() -> bytes:
    declared = request.content_length
    try:
        content = request.get_data(cache=False)
    except RequestEntityTooLarge:
        _discard_rest()
        raise
    # If the length is unknown, the framework stops reading at the limit and raises nothing.
    if declared is None and len(content) == request.max_content_length:
        _discard_rest()
        raise RequestEntityTooLarge
    # The server presents a truncated body as a complete one.
    if declared is not None and len(content) != declared:
        raise ClientDisconnected
    return content


def _discard_rest() -> None:
    """Read on for up to 64 MiB: a client that is still sending when the connection closes never sees the answer."""
    stream = request.environ["wsgi.input"]
    with suppress(OSError):  # the client has disconnected
        for _ in range(_MAX_DISCARDED_BYTES // _CHUNK_BYTES):
            if not stream.read(_CHUNK_BYTES):
                return


def _check_media_type() -> None:
    if request.mimetype and not _JSON_TYPE.fullmatch(request.mimetype):
        raise UnsupportedMediaType("The body has to be JSON: send Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType("The charset of the body is not UTF-8: send the JSON in UTF-8.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Encoded bodies are not accepted: send the JSON without Content-Encoding.")


def _is_storable(value: Any) -> bool:
    """Return whether every part of `value` can be stored.

    One quick pass, because it runs over every body. `_faults` finds the places at fault.
    """
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        next_level: list[Any] = []
        for container in level:
            if type(container) is dict:
                for name in container:
                    if "\x00" in name:
                        return False
                items: Iterable[Any] = container.values()
            else:
                items = container
            for item in items:
                kind = type(item)
                if kind is str:
                    if "\x00" in item:
                        return False
                elif kind is int:
                    if not _MIN_INTEGER <= item <= _MAX_INTEGER:
                        return False
                elif kind is float:
                    # The parser turns an integer that is too large for it into a float.
                    if not -_MAX_FLOAT < item < _MAX_FLOAT:
                        return False
                elif kind is dict or kind is list:
                    next_level.append(item)
        if not next_level:
            return True
        level = next_level
    raise Invalid(f"The body is nested more than {MAX_DEPTH} levels deep.", {BODY: ["nested too deep"]})


def _integer(text: str) -> int | _OversizedInteger:
    # Python refuses to convert very long numbers.
    number = int(text) if len(text) <= _MAX_DIGITS else None
    return number if number is not None and _MIN_INTEGER <= number <= _MAX_INTEGER else _OversizedInteger()


def _faults(value: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(value, _OversizedInteger):
        yield path or BODY, ["expected an integer of at most 64 bits"]
    elif isinstance(value, str) and "\x00" in value:
        yield path or BODY, ["expected text without U+0000"]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            if "\x00" in name:
                yield path or BODY, ["expected property names without U+0000"]
            else:
                yield from _faults(item, f"{path}.{name}" if path else name)
