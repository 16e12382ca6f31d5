"""Long-lived tokens, their place in `Link`, and that no credentials are logged or sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.api.authentication import url_tokens
from tams.api.context import STORE
from tams.domain.principals import READ, SCOPES
from tams.services.access import tokens
from tests.support.api_steps import make_flow
from tests.support.credentials import basic, grant
from tests.support.issuer import Issuer, bearer


@pytest.fixture
def flows(alice: FlaskClient) -> list[str]:
    return [make_flow(alice) for _ in range(3)]


def link(answer: object) -> str:
    header: str = answer.headers["Link"]  # type: ignore[attr-defined]
    assert header.endswith('>; rel="next"')
    return header[1 : header.index(">")]


@pytest.mark.usefixtures("flows")
def test_link_carries_the_token_on(app: Flask, client: FlaskClient) -> None:
    token = grant(app, READ)
    url = f"/flows?access_token={token}&limit=1&x=y"
    seen = []
    for _ in range(3):
        answer = client.get(url)
        assert answer.status_code == 200
        seen += [flow["id"] for flow in answer.json]
        if "Link" in answer.headers:
            url = link(answer)
            query = parse_qs(urlsplit(url).query)
            assert query["access_token"] == [token]
            assert query["x"] == ["y"]
            assert "," not in url
    assert len(set(seen)) == 3
    assert "Link" not in answer.headers


@pytest.mark.usefixtures("flows")
def test_link_drops_a_token_that_did_not_authenticate_the_request(app: Flask, client: FlaskClient) -> None:
    token = grant(app, READ)
    for headers in (bearer(Issuer.token()), basic("read"), bearer(token)):
        answer = client.get(f"/flows?limit=1&access_token={token}", headers=headers)
        assert "access_token" not in link(answer)
        assert client.get(link(answer), headers=headers).status_code == 200


def test_a_token_may_be_repeated_and_two_tokens_are_401(app: Flask, client: FlaskClient) -> None:
    one, two = grant(app, READ), grant(app, READ)
    assert client.get(f"/flows?access_token={one}&access_token={one}").status_code == 200
    assert client.get(f"/flows?access_token={one}&access_token={two}").status_code == 401


def test_a_token_does_not_disturb_a_deletion(app: Flask, client: FlaskClient, flows: list[str]) -> None:
    token = grant(app, *SCOPES)
    assert client.delete(f"/flows/{flows[0]}/segments?access_token={token}&timerange=_").status_code == 204


def test_a_revoked_token_ends_within_seconds(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_tokens, "CACHE_SECONDS", 0.0)
    store = app.extensions[STORE]
    token, text = tokens.create(store, "player", [READ], [], None)
    assert client.get(f"/flows?access_token={text}").status_code == 200
    tokens.revoke(store, token.id)
    assert client.get(f"/flows?access_token={text}").status_code == 401


def test_the_stored_hash_of_a_token_authenticates_nothing(app: Flask, client: FlaskClient) -> None:
    store = app.extensions[STORE]
    token, text = tokens.create(store, "player", [READ], [], None)
    with store.repository.read() as read:
        stored = read.document(tokens.KIND, token.id)
    assert stored is not None
    assert text not in str(stored)
    assert text.rpartition("_")[2] not in str(stored)
    for guess in (stored.body["hash"], f"tams_{token.id}_{stored.body['hash']}"):
        assert client.get("/flows", query_string={"access_token": guess}).status_code == 401


def test_tokens_are_listed_latest_first(app: Flask) -> None:
    store = app.extensions[STORE]
    made = [tokens.create(store, f"player {number}", [READ], [], None)[0] for number in range(3)]
    assert [token.id for token in tokens.list_tokens(store)] == [token.id for token in reversed(made)]


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Collect the lines of all loggers, down to DEBUG, with all their attributes."""
    logged: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(f"{record.getMessage()} {vars(record)}")

    handler, root = Handler(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield logged
    root.removeHandler(handler)
    root.setLevel(before)


def test_no_credentials_are_logged_or_sent(app: Flask, client: FlaskClient, everything_logged: list[str]) -> None:
    app.add_url_rule("/service/fail", view_func=lambda: str(1 / 0))
    token, jwt = grant(app, *SCOPES), Issuer.token()
    secret = token.rpartition("_")[2]
    responses = []
    for path in (
        "/flows",
        "/nowhere",
        "/flows/x",
        "/flows?limit=x",
        "/service/fail",
        "/flow-delete-requests",
        "/docs/x",
    ):
        joined = "&" if "?" in path else "?"
        for method in ("GET", "PUT", "POST", "DELETE"):
            responses += [
                client.open(f"{path}{joined}access_token={text}", method=method)
                for text in (token, token[:-1], token + "0")
            ]
            responses.append(client.open(path, method=method, headers=bearer(jwt)))
            responses.append(client.open(path, method=method, headers=bearer(jwt[:-1])))
        responses.append(client.get(path, headers=basic("read", "a wrong and secret password")))
    output = "\n".join(everything_logged) + "\n".join(answer.text for answer in responses)
    assert len(everything_logged) > 100
    for part in (
        secret,
        secret[:-1],
        token,
        jwt,
        *jwt.split(".")[1:],
        "secret password",
        basic("read")["Authorization"][6:],
    ):
        assert part not in output
