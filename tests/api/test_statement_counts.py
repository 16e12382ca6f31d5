"""SQL statements of single requests on SQLite: counts, so that they hold on any machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.api.context import STORE
from tams.config import Settings
from tams.services.store import Store
from tests.support.api_steps import allocate, make_flow, record
from tests.support.applications import KEY, serving
from tools.bench.statements import Recorder, recording


class Site:
    """A store on SQLite whose statements are counted."""

    def __init__(self, client: FlaskClient, recorded: Recorder) -> None:
        self.client = client
        self._recorded = recorded

    def statements(self, method: str, path: str, body: Any = None, **headers: str) -> int:
        """Return how many statements the request runs, those that begin and end transactions aside."""
        self._recorded.clear()
        response = self.client.open(path, method=method, json=body, headers=headers)
        assert response.status_code < 300, response.text
        return len(self._recorded.reads) + len(self._recorded.writes)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("store") / "data"
    with recording() as recorded:
        for app in serving(Settings.from_env({}, environment="development", data_dir=directory, secret_key=KEY)):
            yield Site(app.test_client(), recorded)


@pytest.fixture
def flow_id(site: Site) -> str:
    """Create a Flow with one Segment, the only Flow of its Source, and return its id."""
    flow_id = make_flow(site.client)
    record(site.client, flow_id, 1)
    return flow_id


def test_reading_a_flow(site: Site, flow_id: str) -> None:
    assert site.statements("GET", f"/flows/{flow_id}") <= 1


def test_creating_a_flow(site: Site, flow_id: str) -> None:
    metadata = written(site, flow_id)
    site.client.delete(f"/flows/{flow_id}")
    assert site.statements("PUT", f"/flows/{flow_id}", metadata) <= 14


def test_replacing_a_flow(site: Site, flow_id: str) -> None:
    metadata = {**written(site, flow_id), "label": "other"}
    assert site.statements("PUT", f"/flows/{flow_id}", metadata) <= 10


def test_a_condition_takes_no_statement(site: Site, flow_id: str) -> None:
    metadata = {**written(site, flow_id), "label": "one"}
    path = f"/flows/{flow_id}"
    plain = site.statements("PUT", path, metadata)
    tag = site.client.get(path).headers["ETag"]
    assert site.statements("PUT", path, {**metadata, "label": "other"}, **{"If-Match": tag}) == plain
    plain = site.statements("PUT", f"{path}/label", "one")
    tag = site.client.get(f"{path}/label").headers["ETag"]
    assert site.statements("PUT", f"{path}/label", "other", **{"If-Match": tag}) == plain


def test_registering_a_segment(site: Site, flow_id: str) -> None:
    (object_id,) = allocate(site.client, flow_id)
    body = {"object_id": object_id, "timerange": "[1:0_2:0)"}
    assert site.statements("POST", f"/flows/{flow_id}/segments", body) <= 9


def test_looking_for_the_bytes_of_local_objects_takes_no_statement(
    site: Site, flow_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extensions = site.client.application.extensions
    store: Store = extensions[STORE]
    checking = replace(store, settings=replace(store.settings, verify_uploads="auto"))
    monkeypatch.setitem(extensions, STORE, checking)
    (item,) = site.client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"]
    put = item["put_url"]
    assert site.client.put(put["url"], data=b"media", content_type=put["content-type"]).status_code == 200
    body = {"object_id": item["object_id"], "timerange": "[1:0_2:0)"}
    assert site.statements("POST", f"/flows/{flow_id}/segments", body) <= 9


def test_deleting_a_segment(site: Site, flow_id: str) -> None:
    assert site.statements("DELETE", f"/flows/{flow_id}/segments") <= 12


def test_deleting_a_flow_with_a_segment(site: Site, flow_id: str) -> None:
    assert site.statements("DELETE", f"/flows/{flow_id}") <= 15


def written(site: Site, flow_id: str) -> dict[str, Any]:
    """Return the Flow's metadata as a client writes it."""
    metadata = site.client.get(f"/flows/{flow_id}").json
    names = ("id", "source_id", "format", "codec", "container", "essence_parameters")
    return {name: metadata[name] for name in names}
