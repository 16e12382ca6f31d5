"""The OpenAPI document, and the pages that display it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tams import __version__


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    content = client.get("/openapi.json").json
    assert content is not None
    return dict(content)


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == "8.2"
    assert document["servers"] == [{"url": "http://localhost"}]


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "head", "post", "put", "delete"}
    ]


def test_every_route_of_the_api_is_in_it(document: dict[str, Any], app: Flask) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        if not rule.rule.startswith(("/storage", "/docs", "/openapi.json"))
    }
    assert {(path, method) for path, method, _ in operations(document)} == served


def test_operations_have_ids_of_their_own_and_known_tags(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(document):
        assert operation["operationId"].split("_")[0] == method.upper(), path
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for _, _, operation in operations(document) for tag in operation["tags"]} == tags


def test_a_head_has_the_parameters_of_its_get_and_no_body(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        if "get" in item:
            assert item["head"].get("parameters") == item["get"].get("parameters")
            assert all("content" not in response for response in item["head"]["responses"].values())


def test_the_user_interface_is_served_from_here(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        assert asset.startswith("http://localhost/docs/")
        assert client.get(asset).status_code == 200
    assert client.get("/docs/..%2F__init__.py").status_code == 404
    assert client.get("/docs/%2Fetc%2Fpasswd").status_code == 404


def test_no_status_is_named_that_is_never_answered(document: dict[str, Any]) -> None:
    assert {path for path, _, operation in operations(document) if "422" in operation["responses"]} == set()


def test_every_error_has_the_schema_of_errors(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status[0] in "45d" and method != "head":
                name = response.get("$ref", "").rpartition("/")[2]
                content = (document["components"]["responses"][name] if name else response)["content"]
                schema = content["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (path, method, status)


def test_the_version_of_the_store_is_shown(document: dict[str, Any]) -> None:
    assert f"store version {__version__}" in document["info"]["description"]


def test_the_examples_work_on_a_new_store(document: dict[str, Any], client: FlaskClient) -> None:
    """Send each body of the document, in an order in which "Try it out" may be used; then read what was made."""
    missing = set()
    requests = []
    for path, method, operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None and "example" not in body:
            missing.add(operation["operationId"])
        elif body is not None or method == "get":
            requests.append((path, method, body and body["example"]))
    # Its path has the id of a webhook, which the store makes.
    assert missing == {"PUT_webhooks"}
    first = ["/flows/{flow_id}", "/service/profiles/{profile_id}", "/flows/{flow_id}/segments"]
    requests.sort(key=lambda item: (item[1] == "get", first.index(item[0]) if item[0] in first else len(first)))
    for path, method, example in requests:
        parameters = {item["name"]: item.get("example") for item in document["paths"][path].get("parameters", ())}
        if None in parameters.values():
            continue
        answer = client.open(path.format(**parameters), method=method.upper(), json=example)
        assert answer.status_code < 300, (method, path, answer.text)


def test_the_page_leaves_out_heads(client: FlaskClient) -> None:
    """They repeat each GET; the class is that of the user interface for an operation by HEAD."""
    assert ".opblock-head { display: none }" in client.get("/docs").text
    assert "opblock-" in client.get("/docs/swagger-ui-bundle.js").text
