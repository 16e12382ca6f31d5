"""Request bodies: JSON, read strictly, and the blueprint whose views receive them validated."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import flask_smorest  # type: ignore[import-untyped]
import orjson
from flask import request
from marshmallow import Schema, ValidationError, missing
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from tams.api.schemas.queries import query_arguments
from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


F = TypeVar("F", bound="Callable[..., Any]")

DEEPEST = 100
"""Levels of nesting that a body may have; what is stored has to be written again, too."""

_SMALLEST = -(2**63)
_LARGEST = 2**63 - 1
_ROUNDED = 2.0**63
_MOST_DIGITS = 20
_BODY = "body"
_PIECE = 64 * 1024
_PASSED_OVER = 64 * 1024 * 1024
_JSON_TYPE = re.compile(r"application/(?:[\w.!#$&^-]+\+)?json", re.ASCII)


class _Beyond:
    """In the place of an integer that signed 64 bits cannot hold."""


def json_body(*, required: bool = True) -> Any:
    """The JSON value that the request holds, None where there is no body and none is `required`.

    415 where it is not declared as JSON; `Invalid` where it does not parse or holds what no repository can store:
    U+0000, lone surrogates, integers beyond signed 64 bits.
    """
    value = _read()
    if value is missing:
        if required:
            raise Invalid("A body in JSON is required.", {_BODY: ["required"]})
        return None
    return value


def _read() -> Any:
    content = _content()
    if not content and (not request.mimetype or _JSON_TYPE.fullmatch(request.mimetype)):
        return missing
    _check_media_type()
    return parse_json(content)


def parse_json(content: bytes, name: str = _BODY) -> Any:
    """The JSON value of what a client sent as `name`; `Invalid` as `json_body` has it."""
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
        _pass_over()
        raise
    # Where the length is not known, the framework stops reading at the limit and says nothing.
    if declared is None and len(content) == request.max_content_length:
        _pass_over()
        raise RequestEntityTooLarge
    # A server hands over a body that was cut off as if it had ended.
    if declared is not None and len(content) != declared:
        raise ClientDisconnected
    return content


def _pass_over() -> None:
    """Read on for a while: a client that is still sending when the connection is closed never sees the answer."""
    stream = request.environ["wsgi.input"]
    with suppress(OSError):  # it has gone
        for _ in range(_PASSED_OVER // _PIECE):
            if not stream.read(_PIECE):
                return


def invalid(errors: Mapping[str, list[str]]) -> Invalid:
    """The error for fields at fault, its summary naming the first."""
    path, messages = next(iter(errors.items()))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Invalid(f"{path}: {messages[0]}{more}", errors)


def _check_media_type() -> None:
    if not _JSON_TYPE.fullmatch(request.mimetype):
        raise UnsupportedMediaType("The body has to be JSON: send Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType("JSON has to be in UTF-8.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Encoded bodies are not accepted: send the JSON as it is.")


def _is_storable(value: Any) -> bool:
    """Whether all of `value` can be stored. One quick pass: this runs over every body; `_faults` finds out where."""
    level: list[Any] = [[value]]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                for key in container:
                    if "\x00" in key:
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
                    if not _SMALLEST <= item <= _LARGEST:
                        return False
                elif kind is float:
                    # It may have been an integer too large for the parser.
                    if not -_ROUNDED < item < _ROUNDED:
                        return False
                elif kind is dict or kind is list:
                    below.append(item)
        if not below:
            return True
        level = below
    raise Invalid(f"The body is nested more than {DEEPEST} levels deep.", {_BODY: ["nested too deep"]})


def _integer(text: str) -> int | _Beyond:
    # Python refuses to convert very long numbers.
    number = int(text) if len(text) <= _MOST_DIGITS else None
    return number if number is not None and _SMALLEST <= number <= _LARGEST else _Beyond()


def _faults(value: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(value, _Beyond):
        yield path or _BODY, ["expected an integer of at most 64 bits"]
    elif isinstance(value, str) and "\x00" in value:
        yield path or _BODY, ["expected text without U+0000"]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\x00" in key:
                yield path or _BODY, ["expected property names without U+0000"]
            else:
                yield from _faults(item, f"{path}.{key}" if path else key)


def _paths(messages: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """The messages of marshmallow, nested like the value at fault, under the JSON path of each field."""
    if isinstance(messages, dict):
        for key, below in messages.items():
            if key == "_schema":
                yield from _paths(below, path)
            elif isinstance(key, int):
                yield from _paths(below, f"{path}[{key}]")
            else:
                yield from _paths(below, f"{path}.{key}" if path else str(key))
    elif isinstance(messages, list) and any(isinstance(item, dict) for item in messages):
        for item in messages:
            yield from _paths(item, path)
    else:
        yield path or _BODY, [str(item) for item in (messages if isinstance(messages, list) else [messages])]


def from_validation(error: ValidationError) -> Invalid:
    """The domain's error for marshmallow's."""
    errors: dict[str, list[str]] = {}
    for path, messages in _paths(error.messages, ""):
        errors.setdefault(path, []).extend(messages)
    return invalid(errors)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A resource's views.

    Views make their answers themselves. What their decorators say of answers is for the API document only and costs a
    request nothing.
    """

    def arguments(
        self, schema: type[Schema] | Schema, *, location: str = "json", required: bool = True, **documented: Any
    ) -> Callable[[F], F]:
        """Hand the view what `schema` makes of the body, or with `location="query"` of the query string.

        Where the body may be absent (`required` false) the view receives what the schema makes of `{}`.
        """
        # One instance for all requests: building a schema costs more than using it.
        instance = schema() if isinstance(schema, type) else schema
        document = super().arguments(instance, location=location, required=required, **documented)
        load = _query_loader(instance) if location == "query" else _body_loader(instance, required)

        def decorate(view: F) -> F:
            @wraps(view)
            def with_arguments(*args: Any, **kwargs: Any) -> Any:
                return view(*args, load(), **kwargs)

            return _documented(document, with_arguments)  # type: ignore[return-value]

        return decorate

    def response(self, status_code: int, schema: Any = None, **documented: Any) -> Callable[[F], F]:
        """Document what the view answers."""
        # Statuses are texts everywhere in the document: as a number this one would not meet what `doc` says of it.
        return partial(_documented, super().response(str(status_code), schema, **documented))

    def alt_response(self, status_code: int, response: str | None = None, **documented: Any) -> Callable[[F], F]:
        """Document another answer."""
        return partial(_documented, super().alt_response(str(status_code), response, **documented))

    @staticmethod
    def doc(**documented: Any) -> Callable[[F], F]:
        """Add to the view's part of the API document."""
        return partial(_documented, flask_smorest.Blueprint.doc(**documented))

    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Answer requests for `rule` by a view."""
        decorate: Callable[[F], F] = super().route(rule, **options)
        return decorate

    def check_before_400(self, check: Callable[..., None]) -> Callable[[F], F]:
        """Run `check(**path_arguments)` where the answer would be 400: 404 and 403 come before it.

        For a view that finds them out itself once its parameters are read, so that right requests pay nothing. To be
        written above `arguments`.
        """

        def decorate(view: F) -> F:
            @wraps(view)
            def checked(*args: Any, **kwargs: Any) -> Any:
                try:
                    return view(*args, **kwargs)
                except Invalid:
                    check(**kwargs)
                    raise

            return checked  # type: ignore[return-value]

        return decorate

    def check_first(self, check: Callable[..., None]) -> Callable[[F], F]:
        """Run `check(**path_arguments)` before anything of the request is parsed: 404 and 403 come before 415 and 400.

        To be written above `arguments`.
        """

        def decorate(view: F) -> F:
            @wraps(view)
            def checked(*args: Any, **kwargs: Any) -> Any:
                check(**kwargs)
                return view(*args, **kwargs)

            return checked  # type: ignore[return-value]

        return decorate


def _documented(document: Callable[[Any], Any], view: F) -> F:
    """The view itself with what a decorator of the framework would add to its document."""
    vars(view)["_apidoc"] = document(view)._apidoc
    return view


def _query_loader(schema: Schema) -> Callable[[], dict[str, Any]]:
    defaults: dict[str, Any] | None = None

    def load() -> dict[str, Any]:
        nonlocal defaults
        arguments = query_arguments(schema)
        if arguments:
            return _loaded(schema, arguments)  # type: ignore[no-any-return]
        # Most requests have no parameters at all, and always the same is made of that.
        if defaults is None:
            defaults = _loaded(schema, arguments)
        return dict(defaults)

    return load


def _body_loader(schema: Schema, required: bool) -> Callable[[], Any]:
    def load() -> Any:
        value = json_body() if required else _read()
        return _loaded(schema, {} if value is missing else value)

    return load


def _loaded(schema: Schema, value: Any) -> Any:
    try:
        return schema.load(value)
    except ValidationError as error:
        raise from_validation(error) from error
