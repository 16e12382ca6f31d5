"""`/` and `/service`: the paths of the API, and the description of the service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import tams
from tams.app import create_app
from tams.config import Settings
from tests.support.applications import serving


def test_the_root_lists_the_paths(client: FlaskClient) -> None:
    assert client.get("/").json == ["service", "flows", "sources", "flow-delete-requests"]


def test_the_service_says_what_it_is(client: FlaskClient) -> None:
    answer = client.get("/service")
    assert answer.json == {
        "name": "TAMS",
        "type": "urn:x-tams:service.tams",
        "api_version": "8.2",
        "service_version": tams.__version__,
        "event_stream_mechanisms": [{"name": "webhooks", "docs": "http://localhost/docs"}],
        "min_object_timeout": "600:0",
        "min_presigned_url_timeout": "300:0",
    }


@pytest.fixture
def configured(settings: Settings) -> Iterator[Flask]:
    yield from serving(replace(settings, name="Archive", description="News", min_object_timeout=900))


def test_it_says_what_is_configured(configured: Flask) -> None:
    said = configured.test_client().get("/service").json
    assert said is not None
    assert (said["name"], said["description"], said["min_object_timeout"]) == ("Archive", "News", "900:0")


def test_name_and_description_can_be_changed_and_stay(client: FlaskClient, settings: Settings) -> None:
    for change in ({"name": "Updated"}, {"description": "Updated description"}, {}, {"unknown": 1, "type": 5}):
        answer = client.post("/service", json=change)
        assert (answer.status_code, answer.data) == (200, b"")
    said = create_app(settings).test_client().get("/service").json
    assert said is not None
    assert (said["name"], said["description"]) == ("Updated", "Updated description")
    assert said["type"] == "urn:x-tams:service.tams"


@pytest.mark.parametrize(
    ("body", "path"),
    [({"name": 5}, "name"), ({"description": None}, "description"), ({"name": "x" * 1025}, "name"), ([], "body")],
)
def test_a_wrong_change_is_refused_and_changes_nothing(client: FlaskClient, body: Any, path: str) -> None:
    answer = client.post("/service", json=body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert list(answer.json["errors"]) == [path]
    said = client.get("/service").json
    assert said is not None
    assert said["name"] == "TAMS"
    assert "description" not in said
