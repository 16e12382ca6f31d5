"""Every operation, with every kind of credentials: generated from the one table, on one real application."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.api.context import STORE
from tams.api.permissions import TABLE, Needed, template
from tams.domain.principals import SCOPES
from tams.services.access import tokens
from tests.support.applications import NewEnvironment, serving
from tests.support.credentials import basic, grant, secured
from tests.support.issuer import Issuer, bearer

UNKNOWN = "8f0d5c52-74a1-4b7e-8f6e-2b1c9d3e4f02"
OPERATIONS = [
    (path, verb, needed)
    for path, methods in TABLE.items()
    for method, needed in methods.items()
    for verb in (("GET", "HEAD") if method == "GET" else (method,))
]
NAMES = [f"{verb} {path}" for path, verb, _ in OPERATIONS]
operations = pytest.mark.parametrize(("path", "verb", "needed"), OPERATIONS, ids=NAMES)

Credentials = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def app(new_environment: NewEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One application for the whole matrix: nothing here changes anything."""
    issuer = Issuer()
    settings = secured(Path(tmp_path_factory.mktemp("matrix")), issuer, new_environment())
    yield from serving(settings)
    issuer.stop()


@pytest.fixture(scope="module")
def granted(app: Flask) -> dict[str, list[Credentials]]:
    """Per scope (or "" for none of ours) the same permission by every kind of credentials."""
    every: dict[str, list[Credentials]] = {}
    for scope in ("", *SCOPES):
        token = grant(app, *([scope] if scope else []))
        every[scope] = [
            ("JWT", {"headers": bearer(Issuer.token(scope=f"openid {scope}"))}),
            ("password", {"headers": basic(scope.partition("/")[2] or "nothing")}),
            ("token as bearer", {"headers": bearer(token)}),
            ("token in the URL", {"query_string": {"access_token": token}}),
        ]
    return every


@pytest.fixture(scope="module")
def worthless(app: Flask) -> list[Credentials]:
    """Credentials that prove nothing, or nothing any more."""
    store = app.extensions[STORE]
    token, revoked = tokens.create(store, "gone", SCOPES, [], None)
    tokens.revoke(store, token.id)
    everything = " ".join(SCOPES)
    old = int(time.time()) - 3600
    expired = grant(app, *SCOPES, seconds=0)
    return [
        ("nothing", {}),
        ("an expired JWT", {"headers": bearer(Issuer.token(scope=everything, exp=old))}),
        ("a JWT of another key", {"headers": bearer(Issuer.token(key=2, scope=everything))}),
        ("an expired token", {"query_string": {"access_token": expired}}),
        ("an expired token as bearer", {"headers": bearer(expired)}),
        ("a revoked token", {"query_string": {"access_token": revoked}}),
        ("a token cut short", {"headers": bearer(grant(app, *SCOPES)[:-1])}),
        ("an empty token", {"query_string": {"access_token": ""}}),
        ("a JWT in the URL", {"query_string": {"access_token": Issuer.token(scope=everything)}}),
        ("no base64", {"headers": {"Authorization": "Basic %%%"}}),
        ("no colon", {"headers": {"Authorization": "Basic ZXZlcnl0aGluZw=="}}),
        ("another scheme", {"headers": {"Authorization": "Digest username=everything"}}),
        ("only the scheme", {"headers": {"Authorization": "Bearer"}}),
        (
            "a bad header beside a good token",
            {
                "headers": {"Authorization": "Bearer x"},
                "query_string": {"access_token": grant(app, *SCOPES)},
            },
        ),
    ]


def ask(client: FlaskClient, path: str, verb: str, credentials: dict[str, Any]) -> TestResponse:
    address = path
    for name in ("source_id", "flow_id", "profile_id", "webhook_id", "request_id", "storage_id"):
        address = address.replace(f"{{{name}}}", UNKNOWN)
    return client.open(address.replace("{", "").replace("}", ""), method=verb, **credentials)


def refusal(answer: TestResponse) -> int | None:
    """401, 403 for a lacking scope, or None where the gate was passed."""
    if answer.status_code == 403 and answer.request.method != "HEAD" and "needs the scope" not in answer.text:
        return None
    return answer.status_code if answer.status_code in {401, 403} else None


@operations
def test_worthless_credentials_open_nothing_that_needs_any(
    client: FlaskClient, worthless: list[Credentials], path: str, verb: str, needed: Needed
) -> None:
    for name, credentials in worthless:
        answer = ask(client, path, verb, credentials)
        assert refusal(answer) == (401 if needed.scopes else None), name
        if needed.scopes:
            schemes = [value.split()[0] for value in answer.headers.getlist("WWW-Authenticate")]
            assert schemes == ["Bearer", "Basic"], name


@operations
def test_a_scope_opens_what_needs_it_and_nothing_else(
    client: FlaskClient, granted: dict[str, list[Credentials]], path: str, verb: str, needed: Needed
) -> None:
    for scope, same in granted.items():
        allowed = not needed.scopes or scope in needed.scopes
        for name, credentials in same:
            answer = ask(client, path, verb, credentials)
            assert refusal(answer) == (None if allowed else 403), (scope, name)
            assert answer.status_code < 500, (scope, name)
            if not allowed and verb != "HEAD":
                assert all(missing in answer.json["summary"] for missing in needed.scopes)


@pytest.mark.parametrize("path", TABLE)
def test_options_are_told_to_everybody(client: FlaskClient, path: str) -> None:
    answer = ask(client, path, "OPTIONS", {})
    assert answer.status_code == 200
    assert set(TABLE[path]) <= set(answer.headers["Allow"].split(", "))


def test_every_route_has_an_entry_and_every_entry_a_route(app: Flask) -> None:
    served = {
        (template(rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(path, method) for path, methods in TABLE.items() for method in methods}


@pytest.mark.parametrize(
    ("path", "verb"), [("/nowhere", "GET"), ("/flows/NO-ID", "GET"), ("/flows", "PATCH"), ("/%", "GET")]
)
def test_what_is_not_there_is_not_told_to_strangers(
    client: FlaskClient, granted: dict[str, list[Credentials]], path: str, verb: str
) -> None:
    assert client.open(path, method=verb).status_code == 401
    for _, credentials in granted["tams-api/read"]:
        assert client.open(path, method=verb, **credentials).status_code in {404, 405}
