"""Every operation with every kind of credentials: generated from the table of permissions, on one application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.api.context import STORE
from tams.api.permissions import TABLE, template
from tams.domain.principals import SCOPES
from tams.services.access import tokens
from tests.support.applications import NewEnvironment, serving
from tests.support.credentials import basic, grant, secured
from tests.support.issuer import Issuer, bearer
from tests.support.matrix import Matrix

UNKNOWN = "8f0d5c52-74a1-4b7e-8f6e-2b1c9d3e4f02"
ALL_SCOPES = " ".join(SCOPES)
OPERATIONS = [
    (path, verb, needed)
    for path, methods in TABLE.items()
    for method, needed in methods.items()
    for verb in (("GET", "HEAD") if method == "GET" else (method,))
]

Credentials = dict[str, Any]
"""Arguments of a request that carry the credentials."""


def access_token(token: str) -> Credentials:
    """Carry a token in the URL."""
    return {"query_string": {"access_token": token}}


def revoked_token(app: Flask) -> str:
    """Return a token that was revoked."""
    token, text = tokens.create(app.extensions[STORE], "gone", SCOPES, [], None)
    tokens.revoke(app.extensions[STORE], token.id)
    return text


VALID: dict[str, Callable[[Flask, str], Credentials]] = {
    "JWT": lambda _, scope: {"headers": bearer(Issuer.token(scope=f"openid {scope}"))},
    "password": lambda _, scope: {"headers": basic(scope.partition("/")[2] or "nothing")},
    "token as bearer": lambda app, scope: {"headers": bearer(grant(app, *([scope] if scope else [])))},
    "token in the URL": lambda app, scope: access_token(grant(app, *([scope] if scope else []))),
}
"""The kinds of credentials, each made for an application and one scope ("": none of the API's scopes)."""

INVALID: dict[str, Callable[[Flask], Credentials]] = {
    "nothing": lambda _: {},
    "an expired JWT": lambda _: {"headers": bearer(Issuer.token(scope=ALL_SCOPES, exp=int(time.time()) - 3600))},
    "a JWT of another key": lambda _: {"headers": bearer(Issuer.token(key=2, scope=ALL_SCOPES))},
    "an expired token": lambda app: access_token(grant(app, *SCOPES, seconds=0)),
    "an expired token as bearer": lambda app: {"headers": bearer(grant(app, *SCOPES, seconds=0))},
    "a revoked token": lambda app: access_token(revoked_token(app)),
    "a token cut short": lambda app: {"headers": bearer(grant(app, *SCOPES)[:-1])},
    "an empty token": lambda _: access_token(""),
    "a JWT in the URL": lambda _: access_token(Issuer.token(scope=ALL_SCOPES)),
    "no base64": lambda _: {"headers": {"Authorization": "Basic %%%"}},
    "no colon": lambda _: {"headers": {"Authorization": "Basic ZXZlcnl0aGluZw=="}},
    "another scheme": lambda _: {"headers": {"Authorization": "Digest username=everything"}},
    "only the scheme": lambda _: {"headers": {"Authorization": "Bearer"}},
    "a bad header beside a good token": lambda app: {
        "headers": {"Authorization": "Bearer x"},
        **access_token(grant(app, *SCOPES)),
    },
}
"""Credentials that do not authenticate, or no longer."""


@pytest.fixture(scope="module")
def app(new_environment: NewEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Make one application for the whole matrix, which changes nothing in it."""
    issuer = Issuer()
    settings = secured(Path(tmp_path_factory.mktemp("matrix")), issuer, new_environment())
    yield from serving(settings)
    issuer.stop()


def send(client: FlaskClient, path: str, verb: str, credentials: Credentials) -> TestResponse:
    """Send a request for an operation on resources that do not exist."""
    address = path
    for name in ("source_id", "flow_id", "profile_id", "webhook_id", "request_id", "storage_id"):
        address = address.replace(f"{{{name}}}", UNKNOWN)
    return client.open(address.replace("{", "").replace("}", ""), method=verb, **credentials)


def refusal(answer: TestResponse) -> int | None:
    """Return 401, 403 for a missing scope, or None if the gate was passed."""
    if answer.status_code == 403 and answer.request.method != "HEAD" and "needs the scope" not in answer.text:
        return None
    return answer.status_code if answer.status_code in {401, 403} else None


def test_a_failed_or_a_lost_cell_fails_a_matrix() -> None:
    matrix = Matrix()
    for cell in (1, 2, 3):
        with matrix.cell(f"cell {cell}"):
            assert cell % 2 == 0
    with pytest.raises(AssertionError, match=r"2 of 3 cells failed:\n(?s:.*)cell 1: AssertionError.*(?s:.*)cell 3: "):
        matrix.check(cells=3)
    with pytest.raises(AssertionError):
        Matrix().check(cells=1)


def test_no_cell_of_the_matrix_is_lost() -> None:
    # Another operation or kind of credentials changes this number; it is stated so that it never shrinks unnoticed.
    assert len(OPERATIONS) * (len(INVALID) + len(VALID) * len(("", *SCOPES))) == 3536


@pytest.mark.parametrize("name", INVALID)
def test_invalid_credentials_open_only_what_needs_none(app: Flask, client: FlaskClient, name: str) -> None:
    credentials = INVALID[name](app)
    matrix = Matrix()
    for path, verb, needed in OPERATIONS:
        with matrix.cell(f"{verb} {path}"):
            answer = send(client, path, verb, credentials)
            assert refusal(answer) == (401 if needed.scopes else None)
            if needed.scopes:
                schemes = [value.split()[0] for value in answer.headers.getlist("WWW-Authenticate")]
                assert schemes == ["Bearer", "Basic"]
    matrix.check(cells=len(OPERATIONS))


@pytest.mark.parametrize("scope", ["", *SCOPES])
@pytest.mark.parametrize("kind", VALID)
def test_a_scope_opens_exactly_what_needs_it(app: Flask, client: FlaskClient, kind: str, scope: str) -> None:
    credentials = VALID[kind](app, scope)
    matrix = Matrix()
    for path, verb, needed in OPERATIONS:
        with matrix.cell(f"{verb} {path}"):
            allowed = not needed.scopes or scope in needed.scopes
            answer = send(client, path, verb, credentials)
            assert refusal(answer) == (None if allowed else 403)
            assert answer.status_code < 500
            if not allowed and verb != "HEAD":
                assert all(missing in answer.json["summary"] for missing in needed.scopes)
    matrix.check(cells=len(OPERATIONS))


def test_options_need_no_credentials(client: FlaskClient) -> None:
    matrix = Matrix()
    for path, methods in TABLE.items():
        with matrix.cell(path):
            answer = send(client, path, "OPTIONS", {})
            assert answer.status_code == 200
            assert set(methods) <= set(answer.headers["Allow"].split(", "))
    matrix.check(cells=len(TABLE))


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
def test_unknown_paths_and_methods_need_credentials_too(app: Flask, client: FlaskClient, path: str, verb: str) -> None:
    assert client.open(path, method=verb).status_code == 401
    for kind, make in VALID.items():
        credentials = make(app, "tams-api/read")
        assert client.open(path, method=verb, **credentials).status_code in {404, 405}, kind
