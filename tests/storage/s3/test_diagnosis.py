"""Diagnoses of a bucket that does not work, for operators: the place, the id of the key, and the next step."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.services.health import HealthMonitor
from tams.services.store import Store
from tams.storage.backend_check import check_backend
from tams.storage.port import BackendDown
from tams.storage.s3.storage import S3Storage
from tests.support.s3_endpoint import STORE_ID, Endpoint

SECRET = "a-secret-that-no-message-may-hold"


def storage_with(server: Endpoint, **options: Any) -> S3Storage:
    configuration = server.configuration(bucket=options.pop("bucket", None) or server.new_bucket(), **options)
    return S3Storage(configuration, STORE_ID, url_lifetime=300, longest_put=660, max_upload=1 << 20)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("options", "finding", "step"),
    [
        ({"bucket": "no-such-bucket"}, "NoSuchBucket", "tams storage init --create-bucket"),
        ({"access_key_id": "UNKNOWNKEY"}, "InvalidAccessKeyId", "does not know the access key"),
        ({"secret_access_key": SECRET}, "SignatureDoesNotMatch", "does not belong to the access key"),
    ],
)
def test_a_refusal_names_bucket_endpoint_key_and_next_step(
    endpoint: Endpoint, options: dict[str, Any], finding: str, step: str
) -> None:
    storage = storage_with(endpoint, **options)
    with pytest.raises(BackendDown) as refusal:
        storage.check_reading()
    problems = [storage.diagnosis(refusal.value), check_backend(storage, ())[0].problem]
    for problem in problems:
        assert problem is not None
        for word in (storage.bucket.name, endpoint.url, storage.configuration.access_key_id, finding, step):
            assert str(word) in problem
        assert SECRET not in problem
        assert endpoint.secret_key not in problem


def test_a_wrong_endpoint_is_named(endpoint: Endpoint, closed_port: int) -> None:
    storage = storage_with(endpoint, endpoint=f"http://127.0.0.1:{closed_port}", attempts=1)
    with pytest.raises(BackendDown) as failure:
        storage.check_reading()
    problem = storage.diagnosis(failure.value)
    assert f"http://127.0.0.1:{closed_port}" in problem
    assert "The endpoint cannot be reached: correct it, or start the server." in problem


def test_the_start_warns_and_does_not_wait_for_a_server_that_does_not_answer(
    endpoint: Endpoint, settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    missing = storage_with(endpoint, bucket="no-such-bucket")
    with caplog.at_level(logging.WARNING, "tams.services.health"):
        monitor = HealthMonitor(Store(store.repository, {new_id(): missing}, settings))
        report = monitor.report()
        monitor.stop()
    assert not report.is_ready
    (message,) = [record.getMessage() for record in caplog.records if record.name == "tams.services.health"]
    assert "no-such-bucket" in message
    assert endpoint.url in message
    assert f"tams storage check {missing.backend.label}" in message
