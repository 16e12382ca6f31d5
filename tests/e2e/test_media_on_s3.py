"""The whole way of real media once more, with the bytes in a bucket: they never pass through the store."""

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
    """An S3 server."""
    with s3_endpoint.running() as found:
        yield found


@pytest.fixture(scope="module")
def running(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketStore]:
    """A store for tests that leave each other's media alone. Nothing may have gone wrong in it at the end."""
    store = BucketStore(tmp_path_factory.mktemp("tams"), endpoint)
    store.start()
    yield store
    store.stop()
    assert store.errors() == []


@pytest.fixture
def store(endpoint: Endpoint, tmp_path: Path) -> Iterator[BucketStore]:
    """A fresh store. Nothing may have gone wrong in it at the end."""
    started = BucketStore(tmp_path, endpoint)
    started.start()
    yield started
    started.stop()
    assert started.errors() == []


def test_clients_are_sent_to_the_bucket(archive: Archive, endpoint: Endpoint) -> None:
    urls = [entry["url"] for item in archive.client.segments(archive.wave) for entry in item["get_urls"]]
    assert urls
    assert all(url.startswith(f"{endpoint.url}/") for url in urls)
    (allocated,) = archive.client.allocate(archive.wave, 1)
    assert allocated["put_url"]["url"].startswith(f"{endpoint.url}/")
