"""The API document and its user interface. The service itself serves all of it, scripts and styles included."""

from __future__ import annotations

from copy import deepcopy
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import flask_smorest  # type: ignore[import-untyped]
import flask_swagger_ui  # type: ignore[import-untyped]
import orjson
from flask import Response, send_from_directory
from marshmallow import Schema, fields
from typing_extensions import override

from tams import __version__
from tams.api import openapi_fields
from tams.api.authentication import security_schemes
from tams.api.context import base_url, url_token
from tams.api.converters import IdConverter, TextConverter
from tams.api.openapi_examples import BODIES, PARAMETERS
from tams.api.permissions import Requirement, requirement
from tams.api.responses import json_response
from tams.domain.identifiers import UUID_PATTERN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from flask import Flask

API_VERSION = "8.2"
"""The version of the TAMS specification that the service implements."""

_TITLE = "Time-addressable Media Store"
_DESCRIPTION = (
    "Stores segmented media Flows: one or more Storage Backends for the media Objects, and a database index of the "
    "Flow Segments. What goes beyond the specification: `POST /sources`, `POST /flows`, `DELETE /sources/{id}`, "
    "`DELETE /objects/{id}`, the `cascade` parameter of deletions, multipart registration, and `/health`. "
    f"TAMS API {API_VERSION}, store version {__version__}."
)
_TAGS = [
    {"name": "Service", "description": "The service root and documentation about the service itself"},
    {"name": "Sources", "description": "The ephemeral concept of an individual piece of media, in no encoding"},
    {"name": "Flows", "description": "Sources which have been rendered to a specific encoding and packaging format"},
    {"name": "Profiles", "description": "Centralised management of the technical characteristics of a Flow"},
    {"name": "FlowSegments", "description": "A timerange Segment of a Flow that references a media Object"},
    {"name": "Objects", "description": "The Object in the Storage Backends that contains the media essence"},
    {"name": "MediaStorage", "description": "The system that stores the Objects referenced by Flow Segments"},
    {"name": "FlowDeleteRequests", "description": "Long running deletion of Flows and Flow Segments"},
    {"name": "Webhooks", "description": "Notifications that are delivered to other services"},
    {"name": "Health", "description": "Whether the service is up, and whether it can answer"},
]
_TAG_OF_BLUEPRINT = {
    "root": "Service",
    "service": "Service",
    "profiles": "Profiles",
    "webhooks": "Webhooks",
    "health": "Health",
    "sources": "Sources",
    "flows": "Flows",
    "flow_properties": "Flows",
    "segments": "FlowSegments",
    "flow_storage": "MediaStorage",
    "media": "MediaStorage",
    "objects": "Objects",
    "delete_requests": "FlowDeleteRequests",
}
_ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="{base}/docs/swagger-ui.css{token}">
<style>.opblock-head {{ display: none }}</style>
<link rel="icon" href="{base}/docs/favicon-32x32.png{token}">
</head>
<body>
<div id="ui"></div>
<script src="{base}/docs/swagger-ui-bundle.js{token}"></script>
<script nonce="{nonce}">
SwaggerUIBundle({{url: "{base}/openapi.json{token}", dom_id: "#ui", deepLinking: true}})
</script>
</body>
</html>
"""
# The user interface sets inline styles as it runs. Its scripts are its own and the one above. Policies cannot name a
# host with an underscore or an IPv6 address: there, 'self' allows the page its own origin.
_PAGE_POLICY = (
    "default-src 'none'; script-src {origin} 'nonce-{nonce}' 'self'; style-src {origin} 'self' 'unsafe-inline'; "
    "img-src {origin} 'self' data:; connect-src {origin} 'self'; frame-ancestors 'none'"
)


_ERROR_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}


class ErrorBody(Schema):
    """The body of every error (`error.json` and the properties that this service adds)."""

    type = fields.String(required=True, metadata={"description": "The error type name."})
    summary = fields.String(required=True, metadata={"description": "What went wrong and why."})
    time = fields.String(required=True, metadata={"description": "When, in UTC.", "format": "date-time"})
    request_id = fields.String(required=True, metadata={"description": "Also in X-Request-ID and in the log."})
    message = fields.String(required=True, metadata={"description": "The summary again."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "What was expected, by the JSON path or parameter at fault."},
    )
    blocked_by = fields.Dict(
        metadata={"description": "How many resources of each kind block a deletion, with ids of some."}
    )


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The framework's part of the application, with our error body. It handles no errors itself."""

    ERROR_SCHEMA = ErrorBody

    # `tams.api.errors` answers errors.
    @override
    def _register_error_handlers(self) -> None:
        pass


def make_api(app: Flask) -> Api:
    """Return the API of the application, before its blueprints are registered."""
    app.config.update(
        API_TITLE=_TITLE,
        API_VERSION=API_VERSION,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": _DESCRIPTION}},
    )
    api = Api(app)
    openapi_fields.install(api)
    api.register_converter(IdConverter, lambda _: {"type": "string", "pattern": f"^{UUID_PATTERN}$"})
    api.register_converter(TextConverter, lambda _: {"type": "string", "minLength": 1})
    return api


def install(app: Flask, api: Api, methods: Collection[str]) -> None:
    """Serve the document at `/openapi.json` and its user interface at `/docs`.

    `methods` are the authentication methods that the document offers.
    """

    def openapi_json() -> Response:
        return json_response(orjson.dumps({**document(api, methods), "servers": [{"url": base_url()}]}))

    def docs() -> Response:
        nonce = token_urlsafe(16)
        token = url_token()
        page = _PAGE.format(
            title=escape(_TITLE),
            base=escape(base_url()),
            nonce=nonce,
            token="" if token is None else f"?access_token={token}",
        )
        policy = _PAGE_POLICY.format(origin="{0.scheme}://{0.netloc}".format(urlsplit(base_url())), nonce=nonce)
        return Response(page, headers={"Content-Security-Policy": policy}, content_type="text/html")

    def docs_asset(name: str) -> Response:
        return send_from_directory(_ASSETS, name, max_age=3600)

    app.add_url_rule("/openapi.json", view_func=openapi_json)
    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/docs/<text:name>", view_func=docs_asset)


def document(api: Api, methods: Collection[str]) -> dict[str, Any]:
    """Return the OpenAPI document.

    It holds what the views declare, the specification's tags, the security requirement of each operation for the
    authentication `methods`, and a HEAD for each GET.
    """
    openapi: dict[str, Any] = deepcopy(api.spec.to_dict())
    openapi["tags"] = _TAGS
    schemes = security_schemes(methods)
    if schemes:
        openapi.setdefault("components", {})["securitySchemes"] = schemes
    for path, operations in openapi["paths"].items():
        _add_parameter_examples(operations.get("parameters", ()))
        for method, operation in list(operations.items()):
            if not isinstance(operation, dict):
                continue
            operation["tags"] = [_TAG_OF_BLUEPRINT.get(tag, tag) for tag in operation.get("tags", ())]
            if schemes:
                operation["security"] = _security(requirement(path, method.upper()), schemes)
            _add_body_example(operation)
            _add_error_bodies(operation)
            if "412" in operation["responses"]:
                operation.setdefault("parameters", []).extend(_conditions(method))
            if method == "get":
                operations.setdefault("head", _head_of(operation))
    return openapi


def _security(requirement: Requirement, schemes: Iterable[str]) -> list[dict[str, list[str]]]:
    """Return one entry per scheme, because any of them suffices, or none if the operation is open.

    An operation that any scope opens lists no scope, because OpenAPI would require all of them.
    """
    scopes = list(requirement.scopes) if len(requirement.scopes) == 1 else []
    return [{scheme: scopes} for scheme in schemes] if requirement.scopes else []


def _add_parameter_examples(parameters: Iterable[dict[str, Any]]) -> None:
    for parameter in parameters:
        if parameter["in"] == "path" and parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]


def _add_body_example(operation: dict[str, Any]) -> None:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None and operation["operationId"] in BODIES:
        body["example"] = BODIES[operation["operationId"]]


def _add_error_bodies(operation: dict[str, Any]) -> None:
    """Give every response that is an error the schema of errors."""
    for status, response in operation["responses"].items():
        if status[0] in "45" and "$ref" not in response:
            response.setdefault("content", _ERROR_CONTENT)


def _conditions(method: str) -> list[dict[str, Any]]:
    """Return the headers that make the change of a Flow, a Source or a property conditional."""
    headers = {"If-Match": "Change it only if it has one of these entity tags, or, if `*`, exists."}
    if method == "put":
        headers["If-None-Match"] = "Change it only if it has none of these entity tags, or, if `*`, does not exist."
    return [
        {"name": name, "in": "header", "description": description, "required": False, "schema": {"type": "string"}}
        for name, description in headers.items()
    ]


def _head_of(operation: dict[str, Any]) -> dict[str, Any]:
    head = deepcopy(operation)
    if "operationId" in head:
        head["operationId"] = head["operationId"].replace("GET_", "HEAD_", 1)
    for response in head["responses"].values():
        response.pop("content", None)
    return head
