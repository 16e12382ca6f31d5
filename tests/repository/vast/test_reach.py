"""The first contact with a cluster: what is wrong with it is said within seconds, and in a sentence."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tams.domain.errors import Unavailable
from tams.repository import vast
from tams.repository.vast import Address
from tests.support.databases import NewDatabase
from tests.support.vast_clusters import address_of

LONGEST = 15  # seconds, on a busy machine


@pytest.fixture
def address(new_vast: NewDatabase) -> Address:
    return address_of(new_vast())


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def refusal_of(address: Address, caplog: pytest.LogCaptureFixture) -> str:
    """Return the sentence that every command gets, and check that it comes soon, without lines of the SDK."""
    sentences = set()
    for step in (vast.upgrade, vast.described):
        began = time.monotonic()
        with pytest.raises(Unavailable) as refusal:
            step(address)
        assert time.monotonic() - began < LONGEST
        sentences.add(str(refusal.value))
    assert not [record for record in caplog.records if record.name.startswith(("vastdb", "backoff"))]
    (sentence,) = sentences
    assert address.secret_key not in sentence
    return sentence


def test_a_missing_bucket_is_named(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    sentence = refusal_of(replace(address, bucket="no-such-bucket"), caplog)
    for word in ("no-such-bucket", address.endpoint, address.access_key, "TAMS_VAST_BUCKET"):
        assert word in sentence


def test_wrong_keys_are_named(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    sentence = refusal_of(replace(address, secret_key="another-secret"), caplog)
    for word in (address.endpoint, address.access_key, "TAMS_VAST_SECRET_KEY"):
        assert word in sentence


def test_an_endpoint_where_nothing_listens_is_named(address: Address, caplog: pytest.LogCaptureFixture) -> None:
    sentence = refusal_of(replace(address, endpoint="http://127.0.0.1:1"), caplog)
    assert sentence.startswith("No VAST cluster answers at http://127.0.0.1:1 ")
    assert "TAMS_VAST_ENDPOINT" in sentence


def test_an_endpoint_that_never_answers_is_named(
    address: Address, silent_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = f"http://127.0.0.1:{silent_port}"
    sentence = refusal_of(replace(address, endpoint=endpoint, request_timeout=2), caplog)
    assert sentence.startswith(f"No VAST cluster answers at {endpoint} ")


def test_the_contact_succeeds_on_a_cluster_that_is_as_it_should_be(address: Address) -> None:
    vast.upgrade(address)
    assert vast.described(address)
