"""The OpenAPI document, and the pages that display it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate


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
