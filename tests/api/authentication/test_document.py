"""Authentication in the API document, in `docs/reference/permissions.md` and in the user interface."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tams.api.permissions import TABLE
from tams.config import Settings
from tams.domain import limits
from tams.domain.principals import READ
from tests.support.applications import NewEnvironment, serving
from tests.support.credentials import basic, grant, secured
from tests.support.issuer import Issuer

PAGES = Path(__file__).parents[3] / "docs" / "reference"
ALL_SCHEMES = {"bearer_token_auth", "url_token_auth", "basic_auth"}


def test_the_page_has_the_table() -> None:
    rows = re.findall(
        r"^\| `([A-Z]+) (/[^`]*)` \| ([^|]*) \| ([^|]*)\|$", (PAGES / "permissions.md").read_text(), re.MULTILINE
    )
    assert [(method, path, scope, by_class.strip()) for method, path, scope, by_class in rows] == [
        (method, path, str(needed), "" if needed.by_class is None else str(needed.by_class))
        for path, methods in TABLE.items()
        for method, needed in methods.items()
    ]


def test_the_page_has_the_limits() -> None:
    shown = dict(re.findall(r"\(`(MOST_\w+)`\) \| ([0-9]+) \|", (PAGES / "limits.md").read_text()))
    assert shown == {name: str(value) for name, value in vars(limits).items() if name.startswith("MOST_")}


def test_the_document_names_the_scope_of_each_operation(client: FlaskClient) -> None:
    document = client.get("/openapi.json", headers=basic("read")).json
    validate(document)
    assert set(document["components"]["securitySchemes"]) == ALL_SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "head", "put", "post", "delete"}:
                needed = TABLE[path]["GET" if method == "head" else method.upper()]
                scopes = list(needed.scopes) if len(needed.scopes) == 1 else []
                expected = [{name: scopes} for name in document["components"]["securitySchemes"]]
                assert operation["security"] == (expected if needed.scopes else []), (method, path)


@pytest.mark.parametrize(
    ("methods", "schemes"),
    [
        (("jwt",), {"bearer_token_auth"}),
        (("basic",), {"basic_auth"}),
        (("token",), {"bearer_token_auth", "url_token_auth"}),
        ((), set()),
    ],
)
def test_only_configured_methods_are_described_and_challenged_for(
    new_environment: NewEnvironment, tmp_path: Path, issuer: Issuer, methods: tuple[str, ...], schemes: set[str]
) -> None:
    for app in serving(secured(tmp_path, issuer, new_environment(), auth=methods, environment="development")):
        client = app.test_client()
        document = client.get("/openapi.json").json
        assert set(document["components"].get("securitySchemes", {})) == schemes
        described = str(document["components"].get("securitySchemes", {}))
        assert ("JWT" in described, "long-lived" in described) == ("jwt" in methods, "token" in methods)
        answer = client.get("/flows")
        assert answer.status_code == (401 if methods else 200)
        challenged = {value.split()[0].lower() for value in answer.headers.getlist("WWW-Authenticate")}
        assert challenged == {scheme.partition("_")[0] for scheme in schemes - {"url_token_auth"}}


class TestDevelopment:
    """In development the document and its user interface are open; nothing else is."""

    @pytest.fixture
    def settings(self, new_environment: NewEnvironment, tmp_path: Path, issuer: Issuer) -> Settings:
        return secured(tmp_path, issuer, new_environment(), environment="development")

    @pytest.fixture
    def app(self, settings: Settings) -> Iterator[Flask]:
        yield from serving(settings)

    def test_the_document_is_open(self, client: FlaskClient) -> None:
        assert [client.get(path).status_code for path in ("/openapi.json", "/docs", "/docs/swagger-ui.css")] == [
            200
        ] * 3
        assert client.get("/flows").status_code == 401
        assert client.get("/service").status_code == 401


def test_the_user_interface_works_with_a_token_in_its_url(app: Flask, client: FlaskClient) -> None:
    token = grant(app, READ)
    page = client.get(f"/docs?access_token={token}")
    assert page.status_code == 200
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(asset).status_code == 200
    assert f"/openapi.json?access_token={token}" in page.text


def test_the_user_interface_runs_only_its_own_script(client: FlaskClient) -> None:
    pages = [client.get("/docs", headers=basic("read")) for _ in range(2)]
    policies = [page.headers["Content-Security-Policy"] for page in pages]
    nonces = [re.search(r"'nonce-([^']+)'", policy)[1] for policy in policies]
    assert nonces[0] != nonces[1]
    for page, policy, nonce in zip(pages, policies, nonces, strict=True):
        assert f'<script nonce="{nonce}">' in page.text
        assert "script-src http://localhost 'nonce-" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
