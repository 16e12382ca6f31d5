"""The parameters that each view reads are those that the API document lists for its operation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.permissions import template
from tams.api.schemas.base import Query
from tests.support.api_steps import make_flow, record, source_of
from tests.support.flow_documents import put_profile

ROOT = Path(__file__).parents[2]
RESOURCES = ROOT / "tams" / "api" / "resources"

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE"}

UNREADABLE = "%00"
"""A value that every parameter refuses. An operation that knows a parameter names it in the errors of its 400."""

REFUSAL = ["expected UTF-8 without U+0000"]

PARAMETERS = {
    ("GET", "/flows/{flow_id}"): {"include_timerange", "timerange"},
    ("DELETE", "/flows/{flow_id}"): {"cascade"},
    ("DELETE", "/flows/{flow_id}/segments"): {"cascade", "object_id", "timerange"},
    ("DELETE", "/sources/{source_id}"): {"cascade"},
    ("DELETE", "/objects/{object_id}"): {"cascade"},
    ("DELETE", "/objects/{object_id}/instances"): {"storage_id", "label"},
    ("GET", "/service/webhooks"): {"limit", "page", "reverse_order", "tag.{name}", "tag_exists.{name}"},
    ("PUT", "/flows/{flow_id}"): set(),
}
"""The parameters of a few operations, so that the test cannot pass by finding none."""


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").get_json())


def documented(document: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Return the query parameters of every operation, by method and path."""
    return {
        (method.upper(), path): {
            parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"
        }
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method.upper() in METHODS
    }


def schema_parameters(schema: type[Query] = Query) -> Iterator[str]:
    """Yield the parameters of every query schema of the application."""
    for subclass in schema.__subclasses__():
        if subclass.__module__.startswith("tams."):
            yield from subclass().parameters
        yield from schema_parameters(subclass)


class Scene:
    """The resources that the paths name, made anew for each operation, because some delete them."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def path(self, template: str) -> str:
        """Return the path with the ids of resources that exist."""
        flow_id = make_flow(self.client)
        (object_id,) = record(self.client, flow_id, 1)
        ids = {
            "flow_id": flow_id,
            "source_id": source_of(self.client, flow_id),
            "object_id": object_id,
            "profile_id": put_profile(self.client),
            "webhook_id": self._webhook(),
            "request_id": flow_id,
            "name": "colour",
        }
        return template.format(**{name: quote(value, safe="") for name, value in ids.items()})

    def _webhook(self) -> str:
        answer = self.client.post(
            "/service/webhooks", json={"url": "https://example.com/", "events": ["flows/created"]}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["id"])


def parameters_read(client: FlaskClient, method: str, path: str, candidates: set[str]) -> set[str]:
    """Return those of the candidates that the operation reads."""
    names = {candidate.format(name="colour"): candidate for candidate in candidates}
    query = "&".join(f"{quote(name)}={UNREADABLE}" for name in names)
    answer = client.open(f"{path}?{query}", method=method)
    errors = (answer.get_json(silent=True) or {}).get("errors", {}) if answer.status_code == 400 else {}
    return {names[name] for name, messages in errors.items() if messages == REFUSAL}


def test_every_view_reads_the_parameters_that_the_document_lists(
    app: Flask, client: FlaskClient, document: dict[str, Any]
) -> None:
    listed = documented(document)
    candidates = set(schema_parameters()).union(*listed.values(), {"cascade", "access_token"})
    assert len(candidates) > 30
    scene = Scene(client)
    read = {
        # A HEAD has no body that could name what it refuses; its view is that of GET.
        (method, path): parameters_read(client, "GET" if method == "HEAD" else method, scene.path(path), candidates)
        for method, path in listed
    }
    assert read == listed
    for operation, parameters in PARAMETERS.items():
        assert read[operation] == parameters, operation
    # Every parameter that a schema knows is read by some view.
    assert candidates - set().union(*read.values()) == {"access_token"}


def test_every_operation_is_asked(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (method, template(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & METHODS
        if not rule.rule.startswith(("/storage", "/docs", "/openapi.json"))
    }
    assert set(documented(document)) == served


def test_no_view_reads_the_query_string_itself() -> None:
    """Views receive their query from `@blp.arguments`. Signed URLs (`media.py`) are no part of the API document."""
    readers = {"args", "values", "query_string", "full_path", "query_pairs", "load_query", "QUERY_STRING"}
    found = {
        path.name
        for path in RESOURCES.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in readers and _is_request(node.value))
        or (isinstance(node, ast.alias) and node.name in readers)
        or (isinstance(node, ast.Constant) and node.value == "QUERY_STRING")
    }
    assert found == {"media.py"}


def _is_request(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "request"
