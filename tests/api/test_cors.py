"""Cross-origin requests: which web pages may call the API from a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tests.support.applications import serving

PLAYER = "https://player.example.com"
PREFLIGHT = {
    "Origin": PLAYER,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization",
}


@pytest.fixture
def open_to_player(settings: Settings) -> Iterator[FlaskClient]:
    for app in serving(replace(settings, cors_origins=(PLAYER,))):
        yield app.test_client()


@pytest.fixture
def open_to_all(settings: Settings) -> Iterator[FlaskClient]:
    for app in serving(replace(settings, cors_origins=("*",))):
        yield app.test_client()


def test_no_origin_is_allowed_unless_configured(client: FlaskClient) -> None:
    assert not [name for name, _ in client.options("/flows", headers=PREFLIGHT).headers if "Access-Control" in name]
    assert "Access-Control-Allow-Origin" not in client.get("/", headers={"Origin": PLAYER}).headers


def test_a_preflight_allows_what_clients_use(open_to_player: FlaskClient) -> None:
    answer = open_to_player.options("/service", headers=PREFLIGHT)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == PLAYER
    methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} <= set(methods)
    allowed = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {
        "authorization",
        "content-type",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "cache-control",
        "pragma",
        "x-requested-with",
        "x-request-id",
        "content-md5",
        "digest",
        "content-digest",
        "repr-digest",
        "x-amz-checksum-sha256",
        "x-amz-checksum-crc64nvme",
    } <= allowed


def test_a_page_can_read_responses_and_errors_with_their_headers(open_to_player: FlaskClient) -> None:
    for path in ("/service/storage-backends", "/nothing"):
        answer = open_to_player.get(path, headers={"Origin": PLAYER})
        assert answer.headers["Access-Control-Allow-Origin"] == PLAYER
        assert answer.headers["Vary"] == "Origin"
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"Link", "Location", "ETag", "X-Paging-NextKey", "X-Paging-Timerange", "X-Request-ID"} <= exposed


def test_another_origin_is_not_allowed(open_to_player: FlaskClient) -> None:
    answer = open_to_player.get("/", headers={"Origin": "https://evil.example.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_a_star_allows_any_origin(open_to_all: FlaskClient) -> None:
    assert open_to_all.options("/service", headers=PREFLIGHT).headers["Access-Control-Allow-Origin"] == "*"
    assert open_to_all.get("/", headers={"Origin": PLAYER}).headers["Access-Control-Allow-Origin"] == "*"
