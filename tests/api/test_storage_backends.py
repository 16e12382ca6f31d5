"""`/service/storage-backends`: the list of backends, its order, filters and pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.storage.local.storage import LocalStorage
from tams.storage.port import Backend
from tests.support.applications import KEY, serving

PATH = "/service/storage-backends"


def test_the_local_backend_is_the_default(client: FlaskClient, settings: Settings) -> None:
    answer = client.get(PATH)
    assert answer.json == [
        {
            "id": settings.local_storage_id(),
            "label": "local",
            "store_type": "http_object_store",
            "provider": "local",
            "store_product": "tams-local",
            "tags": {},
            "default_storage": True,
        }
    ]
    assert answer.headers["X-Paging-Count"] == "1"
    assert answer.headers["X-Paging-Reverse-Order"] == "false"
    assert "Link" not in answer.headers


@pytest.fixture
def several(settings: Settings) -> Iterator[FlaskClient]:
    tags: dict[str, dict[str, Any]] = {
        "b": {"tier": "fast"},
        "a": {"tier": ["slow", "cold"]},
        "Z": {},
        "": {"tier": "fast", "site.name": "x,y"},
    }
    storages = {}
    for label, backend_tags in tags.items():
        backend = Backend(new_id(), label, "tests", "files", region="here", tags=backend_tags, default=label == "b")
        storages[backend.id] = LocalStorage(
            settings.data_dir / backend.id, backend, KEY.encode(), url_lifetime=60, grace=5, max_upload=1000
        )
    for app in serving(settings, storages=storages):
        yield app.test_client()


def labels(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"{PATH}?{query}")
    assert answer.json is not None
    return [item["label"] for item in answer.json]


def test_backends_are_ordered_by_label_with_unlabelled_ones_last(several: FlaskClient) -> None:
    assert labels(several) == ["Z", "a", "b", ""]
    assert labels(several, "reverse_order=true") == ["", "b", "a", "Z"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tag.tier=fast", ["b", ""]),
        ("tag.tier=cold,fast", ["a", "b", ""]),
        ("tag.tier=fas", []),
        ("tag.tier=", []),
        ("tag_exists.tier=false", ["Z"]),
        ("tag.tier=fast&tag_exists.site.name=TRUE", [""]),
        ("unknown=1", ["Z", "a", "b", ""]),
    ],
)
def test_backends_are_filtered_by_tags(several: FlaskClient, query: str, expected: list[str]) -> None:
    assert labels(several, query) == expected


@pytest.mark.parametrize("direction", ["false", "true"])
def test_backends_are_paged(several: FlaskClient, direction: str) -> None:
    whole, pages, query = labels(several, f"reverse_order={direction}"), [], f"?limit=1&reverse_order={direction}"
    while True:
        answer = several.get(PATH + query)
        assert answer.json is not None
        pages += [item["label"] for item in answer.json]
        if "X-Paging-NextKey" not in answer.headers:
            break
        query = f"?limit=1&reverse_order={direction}&page={answer.headers['X-Paging-NextKey']}"
    assert pages == whole


@pytest.mark.parametrize("query", ["tag_exists.a=1", "tag.a=,", "reverse_order=x", "limit=0", "page=x"])
def test_a_malformed_parameter_is_400(client: FlaskClient, query: str) -> None:
    assert client.get(f"{PATH}?{query}").status_code == 400
