"""Real media from ingest to deletion, with the bytes in a bucket: they never pass through the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import s3_endpoint
from tests.support.bucket_store import BucketStore
from tests.support.real_media import (
    Archive,
    TestDeleting,
    TestInitialisationSegments,
    TestReading,
    TestReuse,
    archive,
    edit,
)
from tests.support.s3_endpoint import Endpoint

__all__ = ["TestDeleting", "TestInitialisationSegments", "TestReading", "TestReuse", "archive", "edit"]

pytestmark = [pytest.mark.e2e, pytest.mark.s3]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Run an S3 server."""
    with s3_endpoint.running() as server:
        yield server


@pytest.fixture(scope="module")
def running(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketStore]:
    """Run a store for the tests of this module, and check at the end that it logged no error."""
    store = BucketStore(tmp_path_factory.mktemp("tams"), endpoint)
    store.start()
    yield store
    store.stop()
    assert store.errors() == []


@pytest.fixture
def store(endpoint: Endpoint, tmp_path: Path) -> Iterator[BucketStore]:
    """Run a new store, and check at the end that it logged no error."""
    bucket_store = BucketStore(tmp_path, endpoint)
    bucket_store.start()
    yield bucket_store
    bucket_store.stop()
    assert bucket_store.errors() == []


def test_clients_get_urls_of_the_bucket(archive: Archive, endpoint: Endpoint) -> None:
    urls = [entry["url"] for item in archive.client.segments(archive.wave) for entry in item["get_urls"]]
    assert urls
    assert all(url.startswith(f"{endpoint.url}/") for url in urls)
    (allocated,) = archive.client.allocate(archive.wave, 1)
    assert allocated["put_url"]["url"].startswith(f"{endpoint.url}/")
