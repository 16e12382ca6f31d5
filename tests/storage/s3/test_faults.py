"""A backend that fails in the middle: nothing is lost, no failure counts as success, and no caller waits long."""

from __future__ import annotations

import io
import time
from functools import cache

import pytest
from botocore.retries.standard import ExponentialBackoff

from tams.storage.port import BackendDown
from tests.support.faulty_proxy import FaultyProxy, proxy_before, timeout_for, within

pytestmark = pytest.mark.fault

TYPE = "video/mp2t"
SMALL = b"small" * 100
LARGE = bytes(range(256)) * 33_000  # 8.4 MB: more than a part
LIMIT = 6 * 1024 * 1024
# Two attempts of at most two seconds each, and the time that a busy machine takes.
PATIENCE = 15

PUT = ["put_object", "head_object"]
PUT_LARGE = ["create_multipart_upload", "upload_part", "complete_multipart_upload", "head_object"]
COPY = ["head_object", "copy_object"]
COPY_LARGE = ["head_object", "create_multipart_upload", "upload_part_copy", "complete_multipart_upload"]


@pytest.fixture(scope="module")
def s3(endpoint):
    """Return a backend in a new bucket."""
    return endpoint.storage()


@pytest.fixture(scope="module")
def proxy(endpoint):
    """Start a proxy in front of the S3 server."""
    faulty_proxy = proxy_before(endpoint)
    yield faulty_proxy
    faulty_proxy.stop()


@pytest.fixture(scope="module")
def through_proxy(endpoint, s3, proxy):
    """Return a function from a timeout in seconds to the backend `s3` through the proxy."""

    @cache
    def storage(timeout):
        return endpoint.storage(
            adapter={"largest_copy": LIMIT},
            bucket=s3.bucket.name,
            endpoint=proxy.url,
            read_timeout=timeout,
            connect_timeout=timeout,
            attempts=2,
        )

    return storage


@pytest.fixture
def failing(through_proxy):
    """Return the backend `s3` through the proxy, with the timeout for small objects that get no answer."""
    return through_proxy(timeout_for("hang", len(SMALL)))


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    """Shorten the SDK's pause between attempts, which is up to a second at random."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.01)


def whole(storage, key):
    return b"".join(storage.open(key))


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
@pytest.mark.parametrize(
    ("data", "step"),
    [(SMALL, step) for step in PUT] + [(LARGE, step) for step in PUT_LARGE],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_a_put_that_fails_raises_in_time_and_leaves_the_whole_or_nothing(through_proxy, s3, proxy, data, step, fault):
    failing = through_proxy(timeout_for(fault, len(data)))
    key = failing.new_key("x")
    with proxy.failing(step, fault), pytest.raises(BackendDown):
        within(PATIENCE, lambda: failing.put(key, io.BytesIO(data), TYPE))
    stored = s3.head(key)
    assert stored is None or whole(s3, key) == data
    failing.put(key, io.BytesIO(data), TYPE)
    assert whole(s3, key) == data
    s3.sweep(-60)
    assert s3.sweep(-60) == 0


@pytest.mark.parametrize("fault", ["500 after", "reset after", "hang"])
@pytest.mark.parametrize("step", sorted({*PUT, *PUT_LARGE}))
def test_a_put_that_fails_once_is_retried(through_proxy, s3, proxy, step, fault):
    data = LARGE if step in PUT_LARGE else SMALL
    failing = through_proxy(timeout_for(fault, len(data)))
    key = failing.new_key("x")
    with proxy.failing(step, fault, times=1):
        stored = within(PATIENCE, lambda: failing.put(key, io.BytesIO(data), TYPE))
    assert stored.size == len(data)
    assert whole(s3, key) == data


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
@pytest.mark.parametrize(
    ("data", "step"),
    [(SMALL, step) for step in COPY] + [(LARGE, step) for step in COPY_LARGE],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
def test_a_copy_that_fails_raises_in_time_and_loses_nothing(through_proxy, s3, proxy, data, step, fault):
    failing = through_proxy(timeout_for(fault, len(data)))
    source, target = failing.new_key("x"), failing.new_key("x")
    s3.put(source, io.BytesIO(data), TYPE)
    with proxy.failing(step, fault), pytest.raises(BackendDown):
        within(PATIENCE, lambda: failing.copy(source, target))
    assert whole(s3, source) == data
    stored = s3.head(target)
    assert stored is None or whole(s3, target) == data
    failing.copy(source, target)
    assert whole(s3, target) == data


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
def test_a_deletion_that_fails_raises_in_time_and_can_be_repeated(through_proxy, s3, proxy, fault):
    failing = through_proxy(timeout_for(fault, len(SMALL)))
    key = failing.new_key("x")
    s3.put(key, io.BytesIO(SMALL), TYPE)
    with proxy.failing("delete_object", fault), pytest.raises(BackendDown):
        within(PATIENCE, lambda: failing.delete(key))
    assert (s3.head(key) is None) == fault.endswith(" after")
    failing.delete(key)
    assert s3.head(key) is None


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
@pytest.mark.parametrize(
    ("step", "attempt"),
    [
        ("head_object", lambda storage, key: storage.head(key)),
        ("get_object", lambda storage, key: storage.open(key)),
        ("list", lambda storage, key: storage.listing()),
        ("put_object", lambda storage, key: storage.check()),
        ("delete_object", lambda storage, key: storage.check()),
    ],
    ids=["head", "open", "listing", "check that writes", "check that deletes"],
)
def test_a_read_that_fails_never_looks_like_a_missing_object(through_proxy, s3, proxy, step, attempt, fault):
    failing = through_proxy(timeout_for(fault, len(SMALL)))
    key = failing.new_key("x")
    s3.put(key, io.BytesIO(SMALL), TYPE)
    with proxy.failing(step, fault), pytest.raises(BackendDown):
        within(PATIENCE, lambda: attempt(failing, key))


def test_an_unreachable_bucket_never_looks_like_a_missing_object(failing, proxy):
    with proxy.failing("head_bucket", "500"), pytest.raises(BackendDown):
        failing.head(failing.new_key("never put"))


def test_an_upload_that_could_not_be_aborted_is_swept_up(endpoint, through_proxy, s3, proxy):
    failing = through_proxy(timeout_for("500", len(LARGE)))
    s3.sweep(-60)
    key = failing.new_key("x")

    class Broken(io.BytesIO):
        def read(self, size=-1):
            piece = super().read(size)
            if not piece:
                raise ConnectionResetError("the sender went away")
            return piece

    with proxy.failing("abort_multipart_upload", "500"), pytest.raises(ConnectionResetError):
        failing.put(key, Broken(LARGE), TYPE)
    assert s3.head(key) is None
    (unfinished,) = endpoint.client.list_multipart_uploads(Bucket=s3.bucket.name)["Uploads"]
    age = int(time.time() - unfinished["Initiated"].timestamp())
    assert s3.sweep(age + 60) == 0
    assert s3.sweep(age - 60) == 1
    assert s3.sweep(age - 60) == 0


def test_bytes_that_break_off_while_they_are_read_raise_backend_down(endpoint, s3, proxy):
    key = s3.new_key("x")
    s3.put(key, io.BytesIO(LARGE), TYPE)
    through = endpoint.storage(bucket=s3.bucket.name, endpoint=proxy.url, read_timeout=0.5, attempts=1)
    with proxy.failing("get_object", "cut"):
        pieces = through.open(key)
        with pytest.raises(BackendDown):
            within(PATIENCE, lambda: b"".join(pieces))


def test_nothing_that_is_logged_holds_a_signature_or_a_secret(failing, proxy, caplog):
    caplog.set_level("DEBUG")
    key = failing.new_key("x")
    for fault in ("500", "reset", "hang"):
        with proxy.failing("put_object", fault), pytest.raises(BackendDown):
            failing.put(key, io.BytesIO(SMALL), TYPE)
    failing.put_url(key, TYPE, time.time_ns() // 1000)
    assert key in caplog.text
    assert failing.backend.id in caplog.text
    for secret in ("Signature", "X-Amz-", failing.configuration.secret_access_key):
        assert secret not in caplog.text
