"""Stores over several Storage Backends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty_proxy import FaultyProxy, proxy_before
from tests.support.s3_endpoint import Endpoint
from tests.support.storage_site import Site, open_site, s3_backend


@pytest.fixture
def proxy(endpoint: Endpoint) -> Iterator[FaultyProxy]:
    """Start a proxy in front of the S3 server."""
    faulty_proxy = proxy_before(endpoint)
    yield faulty_proxy
    faulty_proxy.stop()


@pytest.fixture
def site(endpoint: Endpoint, tmp_path: Path) -> Iterator[Site]:
    """Open a store over two buckets of one server."""
    with open_site(tmp_path / "site", s3_backend(endpoint), s3_backend(endpoint)) as opened:
        yield opened


@pytest.fixture
def watched(endpoint: Endpoint, proxy: FaultyProxy, tmp_path: Path) -> Iterator[Site]:
    """Open a store over two buckets behind the proxy, with short timeouts."""
    options = {"endpoint": proxy.url, "connect_timeout": 1, "read_timeout": 1, "attempts": 1}
    first, second = (s3_backend(endpoint, **options) for _ in range(2))
    with open_site(tmp_path / "watched", first, second, job_lease=5) as opened:
        yield opened
