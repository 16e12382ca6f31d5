"""The blueprint whose views receive validated arguments."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import flask_smorest  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError, missing
from typing_extensions import override
from webargs.flaskparser import FlaskParser

from tams.api.json_body import json_body, optional_json_body
from tams.api.query_string import load_query, query_pairs
from tams.api.schemas.base import Query
from tams.api.validation import from_validation
from tams.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


class _ArgumentsParser(FlaskParser):
    """The framework's parser, which serves the API document only: malformed arguments are answered with 400."""

    DEFAULT_VALIDATION_STATUS = 400


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """The views of a resource.

    The order of decorators above a view, each of them optional: `check_first` or `check_before_400`, `doc`,
    `arguments`, `response`, `alt_response`.

    Views build their answers themselves. What their decorators say of answers is for the API document only and costs a
    request nothing.

        @blp.route("/flows/<id:flow_id>")
        class FlowDetails(MethodView):
            @blp.check_before_400(_check_exists)
            @blp.doc(operationId="GET_flows-flowId")
            @blp.arguments(FlowQuery, location="query")
            @blp.response(200, FlowSchema)
            @blp.alt_response(404, description="The requested Flow does not exist.")
            def get(self, query: dict[str, Any], flow_id: str) -> Response: ...
    """

    ARGUMENTS_PARSER = _ArgumentsParser()

    # The framework's decorator runs webargs' parser for each request. Here bodies and query strings are read by our
    # own strict readers, and the framework sees the schema for the API document only.
    @override
    def arguments(
        self, schema: type[Schema] | Schema, *, location: str = "json", required: bool = True, **documented: Any
    ) -> Callable[[F], F]:
        """Pass the view what `schema` loads from the body, or with `location="query"` from the query string.

        If the body may be absent (`required` is false), the view receives what the schema loads from `{}`.
        """
        # One instance for all requests: building a schema costs more than using it.
        instance = schema() if isinstance(schema, type) else schema
        document = super().arguments(instance, location=location, required=required, **documented)
        load = _query_loader(instance) if isinstance(instance, Query) else _body_loader(instance, required=required)

        def decorate(view: F) -> F:
            @wraps(view)
            def with_arguments(*args: Any, **kwargs: Any) -> Any:
                try:
                    loaded = load()
                except ValidationError as error:
                    raise from_validation(error) from error
                return view(*args, loaded, **kwargs)

            return _documented(document, with_arguments)  # type: ignore[return-value]

        return decorate

    @override
    def response(self, status_code: int, schema: Any = None, **documented: Any) -> Callable[[F], F]:
        """Document the answer of a view that succeeds."""
        # Statuses are strings everywhere in the document. A number would not be merged with what `doc` says of it.
        return partial(_documented, super().response(str(status_code), schema, **documented))

    @override
    def alt_response(self, status_code: int, response: str | None = None, **documented: Any) -> Callable[[F], F]:
        """Document another answer of a view."""
        return partial(_documented, super().alt_response(str(status_code), response, **documented))

    @staticmethod
    @override
    def doc(**documented: Any) -> Callable[[F], F]:
        """Add to the view's part of the API document."""
        return partial(_documented, flask_smorest.Blueprint.doc(**documented))

    @override
    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view for the paths that match `rule`."""
        decorate: Callable[[F], F] = super().route(rule, **options)
        return decorate

    def check_before_400(self, check: Callable[..., None]) -> Callable[[F], F]:
        """Run `check(**path_arguments)` if the answer would be 400, so that its 404 or 403 takes precedence.

        For a view that raises 404 and 403 itself once its arguments are loaded: a valid request costs nothing more.
        Goes above `arguments`.
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
        """Run `check(**path_arguments)` before the request is parsed, so that 404 and 403 precede 415 and 400.

        Goes above `arguments`.
        """

        def decorate(view: F) -> F:
            @wraps(view)
            def checked(*args: Any, **kwargs: Any) -> Any:
                check(**kwargs)
                return view(*args, **kwargs)

            return checked  # type: ignore[return-value]

        return decorate


def _documented(document: Callable[[Any], Any], view: F) -> F:
    """Return the view itself with what a decorator of the framework would add to its document."""
    vars(view)["_apidoc"] = document(view)._apidoc
    return view


def _query_loader(schema: Query) -> Callable[[], dict[str, Any]]:
    defaults: dict[str, Any] | None = None

    def load() -> dict[str, Any]:
        nonlocal defaults
        if query_pairs():
            return load_query(schema)
        # Most requests have no parameters, and the schema loads the same from each of them.
        if defaults is None:
            defaults = load_query(schema)
        return dict(defaults)

    return load


def _body_loader(schema: Schema, *, required: bool) -> Callable[[], Any]:
    def load() -> Any:
        value = json_body() if required else optional_json_body()
        return schema.load({} if value is missing else value)

    return load
