"""TAMS_VERIFY_UPLOADS in a store over a local directory and a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_steps import make_flow
from tests.support.s3_endpoint import Endpoint
from tests.support.storage_site import FIRST, SECOND, Site, open_site, s3_backend


@pytest.fixture(params=["auto", True, False])
def site(request: pytest.FixtureRequest, endpoint: Endpoint, tmp_path: Path) -> Iterator[Site]:
    local = {"type": "local", "directory": tmp_path / "media"}
    with open_site(tmp_path / "site", local, s3_backend(endpoint), verify_uploads=request.param) as opened:
        yield opened


def register_without_bytes(site: Site, storage_id: str) -> Any:
    flow_id = make_flow(site.client)
    answer = site.client.post(f"/flows/{flow_id}/storage", json={"limit": 1, "storage_id": storage_id})
    (item,) = answer.json["media_objects"]
    return site.client.post(
        f"/flows/{flow_id}/segments", json={"object_id": item["object_id"], "timerange": "[0:0_1:0)"}
    )


@pytest.mark.s3
def test_auto_refuses_what_was_never_uploaded_to_local_storage_and_asks_no_s3_server(site: Site) -> None:
    verify = site.settings.verify_uploads
    statuses = {storage_id: register_without_bytes(site, storage_id).status_code for storage_id in (FIRST, SECOND)}
    assert statuses == {FIRST: 400 if verify else 201, SECOND: 400 if verify is True else 201}
    (object_id,) = site.record(b"media")
    assert site.downloads(object_id) == {"first": b"media"}
