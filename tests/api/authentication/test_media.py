"""Media of local storage: a signed URL is its own permission, a plain one needs credentials. CORS and rate limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.domain.principals import READ, WRITE
from tams.storage.local.signing import SIGNATURE
from tests.support.api_steps import make_flow, register
from tests.support.applications import NewEnvironment, serving
from tests.support.credentials import basic, grant, secured
from tests.support.issuer import Issuer

TYPE = {"Content-Type": "application/octet-stream"}


def allocate(client: FlaskClient, flow_id: str, *, presigned: bool) -> tuple[str, str]:
    """Return an Object's id and its upload URL without origin."""
    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": 1, "presigned": presigned})
    (item,) = answer.json["media_objects"]
    return item["object_id"], item["put_url"]["url"].removeprefix("http://localhost")


def test_signed_urls_need_no_credentials_in_either_direction(alice: FlaskClient, client: FlaskClient) -> None:
    flow_id = make_flow(alice)
    object_id, put_url = allocate(alice, flow_id, presigned=True)
    assert client.put(put_url, data=b"media", headers=TYPE).status_code == 200
    register(alice, flow_id, object_id, "[0:0_1:0)")
    (segment,) = alice.get(f"/flows/{flow_id}/segments").json
    get_url = segment["get_urls"][0]["url"].removeprefix("http://localhost")
    assert client.get(get_url).data == b"media"
    assert client.get(get_url, headers=basic("nothing")).data == b"media"
    path = get_url.partition("?")[0]
    assert client.get(path).status_code == 401
    assert client.get(path, headers=basic("write")).status_code == 403
    assert client.get(path, headers=basic("read")).data == b"media"
    assert client.head(path, headers=basic("read")).status_code == 200


def test_an_invented_signature_opens_nothing(alice: FlaskClient, client: FlaskClient) -> None:
    flow_id = make_flow(alice)
    _, put_url = allocate(alice, flow_id, presigned=True)
    assert client.put(put_url, data=b"media", headers=TYPE).status_code == 200
    path = put_url.partition("?")[0]
    for query in (f"{SIGNATURE}=x", f"{SIGNATURE}=", put_url.partition("?")[2]):
        assert client.get(f"{path}?{query}").status_code == 403
        assert client.get(f"{path}?{query}", headers=basic("everything")).status_code == 403


def test_plain_uploads_need_the_scope(app: Flask, alice: FlaskClient, client: FlaskClient) -> None:
    flow_id = make_flow(alice)
    _, put_url = allocate(alice, flow_id, presigned=False)
    reader, writer = grant(app, READ), grant(app, WRITE)
    assert client.put(put_url, data=b"media", headers=TYPE).status_code == 401
    joined = "&" if "?" in put_url else "?"
    assert client.put(f"{put_url}{joined}access_token={reader}", data=b"media", headers=TYPE).status_code == 403
    assert client.put(f"{put_url}{joined}access_token={writer}", data=b"media", headers=TYPE).status_code == 200


@pytest.mark.parametrize("scope", ["nothing", "read", "delete", "admin"])
def test_a_refused_request_changes_nothing(alice: FlaskClient, client: FlaskClient, scope: str) -> None:
    flow_id = make_flow(alice, label="before")
    before = alice.get(f"/flows/{flow_id}").json
    credentials = basic(scope)
    refused = [
        client.put(f"/flows/{flow_id}", json={**before, "label": "after"}, headers=credentials),
        client.put(f"/flows/{flow_id}/label", json="after", headers=credentials),
        client.delete(f"/flows/{flow_id}/label", headers=credentials),
        client.post(f"/flows/{flow_id}/storage", json={}, headers=credentials),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4
    assert alice.get(f"/flows/{flow_id}").json == before


class TestBrowsers:
    """Only pages of the configured origins may call the API."""

    @pytest.fixture
    def app(self, new_environment: NewEnvironment, tmp_path: Path, issuer: Issuer) -> Iterator[Flask]:
        yield from serving(secured(tmp_path, issuer, new_environment(), cors_origins=("https://player.example.com",)))

    def test_a_preflight_needs_no_credentials(self, client: FlaskClient) -> None:
        asked = {"Origin": "https://player.example.com", "Access-Control-Request-Method": "PUT"}
        answer = client.options("/flows", headers=asked)
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "https://player.example.com"

    def test_a_page_can_read_a_refusal(self, client: FlaskClient) -> None:
        answer = client.get("/flows", headers={"Origin": "https://player.example.com"})
        assert answer.status_code == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "https://player.example.com"
        assert "Access-Control-Allow-Credentials" not in answer.headers


class TestRate:
    """`TAMS_RATE_LIMIT` counts requests by principal."""

    @pytest.fixture
    def app(self, new_environment: NewEnvironment, tmp_path: Path, issuer: Issuer) -> Iterator[Flask]:
        yield from serving(secured(tmp_path, issuer, new_environment(), rate_limit=1))

    def test_one_principal_does_not_slow_down_another(self, app: Flask, client: FlaskClient) -> None:
        busy, other = ({"access_token": grant(app, READ, name=name)} for name in ("busy", "other"))
        statuses = [client.get("/flows", query_string=busy).status_code for _ in range(12)]
        assert (statuses[0], statuses[-1]) == (200, 429)
        assert client.get("/flows", query_string=other).status_code == 200
        assert client.get("/health/live").status_code == 200
        assert client.get("/flows").status_code == 401


def test_responses_to_credentials_are_private(client: FlaskClient) -> None:
    assert client.get("/service", headers=basic("read")).headers["Cache-Control"] == "private"
    assert client.get("/service", headers=basic("read")).headers["Vary"] == "Authorization"
    assert client.get("/service").headers["Cache-Control"] == "private"
    assert client.get("/health/live").headers["Cache-Control"] == "no-store"
