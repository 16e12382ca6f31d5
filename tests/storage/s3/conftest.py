"""What S3 alone has to be tested with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tams.storage.s3.storage import S3Storage
from tests.storage.faulty_proxy import FaultyProxy
from tests.storage.s3_endpoint import Endpoint

Before = Callable[..., FaultyProxy]


def proxy_before(endpoint: Endpoint, certificate: Path | None = None) -> FaultyProxy:
    """A proxy before that server."""
    parts = urlsplit(endpoint.url)
    return FaultyProxy((parts.hostname or "", parts.port or 80), certificate)


@pytest.fixture
def s3(endpoint: Endpoint) -> S3Storage:
    """A backend in a bucket of its own."""
    return endpoint.storage()


@pytest.fixture
def proxies(endpoint: Endpoint) -> Iterator[Before]:
    """Makes proxies before the S3 server."""
    made: list[FaultyProxy] = []

    def make(certificate: Path | None = None) -> FaultyProxy:
        made.append(proxy_before(endpoint, certificate))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture
def proxy(proxies: Before) -> Any:
    """A proxy before the S3 server."""
    return proxies()
