"""Limits on the size of resources, and on the rate of requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain import limits
from tams.domain.identifiers import new_id
from tests.support import flow_documents
from tests.support.api_steps import allocate, make_flow, register
from tests.support.applications import KEY, serving


def refused(answer: Any, path: str) -> None:
    assert answer.status_code == 400, answer.text
    assert list(answer.json["errors"]) == [path]


class TestLimits:
    """Limits are generous and the same on every repository; a request beyond one is answered with 400."""

    def test_a_resource_has_a_limited_number_of_tags(self, client: FlaskClient) -> None:
        most = {f"tag{number}": "x" for number in range(limits.MOST_TAGS)}
        flow = flow_documents.data(tags=most)
        flow_documents.put(client, flow)
        refused(client.put(f"/flows/{flow['id']}/tags/one-more", json="x"), "tags")
        refused(client.put(f"/flows/{flow['id']}", json={**flow, "tags": {**most, "one-more": "x"}}), "tags")
        assert client.put(f"/flows/{flow['id']}/tags/tag1", json="y").status_code == 204

    def test_a_resource_has_a_limited_number_of_tag_values(self, client: FlaskClient) -> None:
        half = ["x"] * (limits.MOST_TAG_VALUES // 2)
        source = {"id": new_id(), "format": "urn:x-nmos:format:data", "tags": {"a": half, "b": half}}
        assert client.post("/sources", json=source).status_code == 201
        refused(client.put(f"/sources/{source['id']}/tags/c", json="x"), "tags")

    def test_a_collection_has_a_limited_number_of_members(self, client: FlaskClient) -> None:
        collector = flow_documents.multi(*[new_id() for _ in range(limits.MOST_MEMBERS + 1)])
        refused(client.put(f"/flows/{collector['id']}", json=collector), "flow_collection")

    def test_a_registration_has_a_limited_number_of_segments(self, client: FlaskClient) -> None:
        flow_id = make_flow(client)
        segment = {"object_id": "a", "timerange": "[0:0_1:0)"}
        refused(client.post(f"/flows/{flow_id}/segments", json=[segment] * (limits.MOST_SEGMENTS + 1)), "body")

    def test_a_storage_request_has_a_limited_number_of_object_ids(self, client: FlaskClient) -> None:
        ids = [str(number) for number in range(limits.MOST_OBJECT_IDS + 1)]
        refused(client.post(f"/flows/{make_flow(client)}/storage", json={"object_ids": ids}), "object_ids")

    def test_an_object_has_a_limited_number_of_urls(self, client: FlaskClient) -> None:
        flow_id = make_flow(client)
        urls = [{"url": "https://example.com/a", "label": str(number)} for number in range(limits.MOST_URLS)]
        more = [*urls, {"url": "https://example.com/a", "label": "one more"}]
        segment = {"object_id": "elsewhere", "timerange": "[0:0_1:0)"}
        refused(client.post(f"/flows/{flow_id}/segments", json={**segment, "get_urls": more}), "get_urls")
        register(client, flow_id, "elsewhere", "[0:0_1:0)", get_urls=urls)
        refused(client.post("/objects/elsewhere/instances", json=more[-1]), "instances")
        (object_id,) = allocate(client, flow_id)
        register(client, flow_id, object_id, "[1:0_2:0)")
        assert client.post(f"/objects/{object_id}/instances", json=more[-1]).status_code == 201


class TestRate:
    """The limit that `TAMS_RATE_LIMIT` sets."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings.from_env(
            {}, environment="development", data_dir=tmp_path / "data", secret_key=KEY, rate_limit=1
        )

    @pytest.fixture
    def app(self, settings: Settings) -> Iterator[Flask]:
        yield from serving(settings)

    def test_a_client_over_the_limit_has_to_wait(self, client: FlaskClient) -> None:
        answers = [client.get("/service") for _ in range(12)]
        assert [answer.status_code for answer in answers[:10]] == [200] * 10
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["Retry-After"]) == 1
        assert answers[-1].json["type"] == "TooManyRequests"

    def test_other_clients_need_not_wait(self, client: FlaskClient) -> None:
        for _ in range(12):
            client.get("/service")
        assert client.get("/service", environ_base={"REMOTE_ADDR": "192.0.2.2"}).status_code == 200
