"""Fixtures of the tests of S3 alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tams.storage.s3.storage import S3Storage
from tests.support.faulty_proxy import FaultyProxy, proxy_before
from tests.support.s3_endpoint import Endpoint

Before = Callable[..., FaultyProxy]


@pytest.fixture
def s3(endpoint: Endpoint) -> S3Storage:
    """Return a backend in a new bucket."""
    return endpoint.storage()


@pytest.fixture
def proxies(endpoint: Endpoint) -> Iterator[Before]:
    """Return a function that starts proxies in front of the S3 server."""
    running: list[FaultyProxy] = []

    def make(certificate: Path | None = None) -> FaultyProxy:
        running.append(proxy_before(endpoint, certificate))
        return running[-1]

    yield make
    for proxy in running:
        proxy.stop()


@pytest.fixture
def proxy(proxies: Before) -> Any:
    """Start a proxy in front of the S3 server."""
    return proxies()
