"""Pages of other websites: what a browser lets them send without a preflight is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tests.support.api_steps import make_flow, timeranges
from tests.support.applications import serving
from tests.support.multipart import BOUNDARY, SEGMENT, body_of

PLAYER = "https://player.example.com"
MULTIPART = body_of(("segment_data", b'{"timerange": "[0:0_1:0)"}'), ("file", b"media"))

FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example.com"},
    {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null"},
    {"Origin": "http://localhost:81"},
    {"Origin": "https://localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]
OURS: list[dict[str, str]] = [
    {},
    {"Origin": "http://localhost"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    {"Origin": PLAYER},
    {"Origin": PLAYER, "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none"},
    # Behind a proxy that the store does not trust, the store does not know its own origin, but the browser does.
    {"Origin": "https://tams.example.com", "Sec-Fetch-Site": "same-origin"},
]


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    for app in serving(replace(settings, cors_origins=(PLAYER,))):
        yield app.test_client()


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def answers(client: FlaskClient, flow_id: str, headers: dict[str, str]) -> list[int]:
    """Send what a page could send without a preflight; return the statuses."""
    path = f"/flows/{flow_id}/segments"
    form = {"data": MULTIPART, "content_type": f"multipart/form-data; boundary={BOUNDARY}"}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/service", {"data": b'{"name": "a name"}'}),
        ("/service", {"data": b'{"name": "a name"}', "content_type": ""}),
        (f"/flows/{flow_id}/storage", {"data": b'{"limit": 1}'}),
        (f"/flows/{flow_id}/storage", {}),
        (path, form),
    ]
    return [client.post(path, headers=headers, **request).status_code for path, request in requests]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_is_refused(client: FlaskClient, flow_id: str, headers: dict[str, str]) -> None:
    name = client.get("/service").json["name"]
    assert answers(client, flow_id, headers) == [415] * 5
    assert client.get("/service").json["name"] == name
    assert timeranges(client, flow_id) == []


@pytest.mark.parametrize("headers", OURS)
def test_other_clients_and_pages_of_configured_origins_are_not(
    client: FlaskClient, flow_id: str, headers: dict[str, str]
) -> None:
    assert answers(client, flow_id, headers) == [200, 200, 201, 201, 201]
    assert timeranges(client, flow_id) == [SEGMENT["timerange"]]


@pytest.mark.parametrize("headers", FOREIGN)
def test_declared_json_needs_no_check(client: FlaskClient, flow_id: str, headers: dict[str, str]) -> None:
    """A browser sends it for a foreign page only after a preflight, which is refused."""
    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}, headers=headers)
    assert answer.status_code == 201


def test_the_public_url_is_ours(settings: Settings) -> None:
    for app in serving(replace(settings, public_url="https://TAMS.example.com:443/api")):
        client = app.test_client()
        flow_id = make_flow(client)
        for origin, status in (("https://tams.example.com", 201), ("https://tams.example.com:8443", 415)):
            assert client.post(f"/flows/{flow_id}/storage", headers={"Origin": origin}).status_code == status


def test_any_origin_is_allowed_by_a_star(settings: Settings) -> None:
    for app in serving(replace(settings, cors_origins=("*",))):
        client = app.test_client()
        flow_id = make_flow(client)
        for headers in FOREIGN:
            assert client.post(f"/flows/{flow_id}/storage", headers=headers).status_code == 201


def test_a_missing_flow_is_named_first(client: FlaskClient) -> None:
    absent = "/flows/11111111-1111-4111-8111-111111111111/segments"
    answer = client.post(
        absent, data=MULTIPART, content_type=f"multipart/form-data; boundary={BOUNDARY}", headers=FOREIGN[0]
    )
    assert answer.status_code == 404
