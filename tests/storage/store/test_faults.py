"""A backend that fails at a step of the work: no bytes are lost, and none are left once the worker has caught up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from tests.support.api_steps import make_flow
from tests.support.faulty_proxy import FaultyProxy, proxy_before, timeout_for, within
from tests.support.s3_endpoint import Endpoint
from tests.support.storage_site import SECOND, Site, open_site, s3_backend, send_with_bytes

pytestmark = pytest.mark.fault

MEDIA = bytes(range(256)) * 100
LARGE = MEDIA * 400  # sent in parts
# An attempt of at most two seconds at each of a few steps, and the time that a busy machine takes.
PATIENCE = 20

WITHIN_SERVER = ["head_object", "copy_object"]
STREAMED = ["put_object", "head_object"]
STREAMED_IN_PARTS = ["create_multipart_upload", "upload_part", "complete_multipart_upload"]
READ = ["head_object", "get_object"]


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint) -> Iterator[FaultyProxy]:
    """Start a proxy in front of the S3 server."""
    faulty_proxy = proxy_before(endpoint)
    yield faulty_proxy
    faulty_proxy.stop()


FailingSite = Callable[[str, float], Site]


@pytest.fixture(scope="module")
def failing_site(
    endpoint: Endpoint, proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FailingSite]:
    """Return a function from a name and a timeout in seconds to a store with backends behind the proxy.

    The names are `both`, `second`, and `first`, which the copies are made of.
    """
    failing = {"endpoint": proxy.url, "attempts": 1}
    behind, sound = (lambda: s3_backend(endpoint, **failing)), (lambda: s3_backend(endpoint))
    backends = {"both": (behind, behind), "second": (sound, behind), "first": (behind, sound)}
    with ExitStack() as stack:

        @cache
        def site(name: str, timeout: float) -> Site:
            first, second = backends[name]
            directory = tmp_path_factory.mktemp(name)
            return stack.enter_context(open_site(directory, first(), second(), timeout=timeout))

        yield site


def promptly(site: Site, object_id: str) -> None:
    """Check that clients are answered at once meanwhile: no answer depends on a backend."""
    start = time.monotonic()
    assert site.client.get(f"/objects/{object_id}").status_code == 200
    site.ask_for_copy(object_id)
    assert site.client.post(f"/flows/{make_flow(site.client)}/storage", json={"limit": 1}).status_code == 201
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
@pytest.mark.parametrize(
    ("name", "content", "step"),
    [("both", MEDIA, step) for step in WITHIN_SERVER]
    + [("second", MEDIA, step) for step in STREAMED]
    + [("second", LARGE, step) for step in STREAMED_IN_PARTS]
    + [("first", LARGE, step) for step in READ],
    ids=lambda value: len(value) if isinstance(value, bytes) else value,
)
def test_a_copy_that_fails_is_made_later(
    failing_site: FailingSite, proxy: FaultyProxy, name: str, content: bytes, step: str, fault: str
) -> None:
    site = failing_site(name, timeout_for(fault, len(content)))
    (object_id,) = site.record(content)
    site.ask_for_copy(object_id)
    with proxy.failing(step, fault):
        within(PATIENCE, site.copy)
        promptly(site, object_id)
    assert "second" not in [entry["label"] for entry in site.client.get(f"/objects/{object_id}").json["get_urls"]]
    site.time_passes()
    site.copy()
    assert site.downloads(object_id) == {"first": content, "second": content}
    forget(site, object_id)


def test_bytes_that_break_off_are_no_copy(failing_site: FailingSite, proxy: FaultyProxy) -> None:
    site = failing_site("first", timeout_for("cut", len(LARGE)))
    (object_id,) = site.record(LARGE)
    site.ask_for_copy(object_id)
    with proxy.failing("get_object", "cut"):
        within(PATIENCE, site.copy)
    assert site.contents(site.second) == []
    site.time_passes()
    site.copy()
    assert site.downloads(object_id)["second"] == LARGE
    forget(site, object_id)


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
def test_a_deletion_that_fails_is_done_later(failing_site: FailingSite, proxy: FaultyProxy, fault: str) -> None:
    site = failing_site("both", timeout_for(fault, len(MEDIA)))
    object_ids = site.record(*[MEDIA] * 3)
    for object_id in object_ids:
        site.ask_for_copy(object_id)
    site.copy()
    last_id = object_ids.pop()
    with proxy.failing("delete_object", fault):
        for object_id in object_ids:
            site.delete_object(object_id)
        assert site.delete_instance(last_id, storage_id=SECOND) == 204
        before = len(proxy.steps)
        # The worker waits for each backend once, however many deletions there are.
        within(PATIENCE, site.delete)
        assert len(proxy.steps) - before <= 2
        promptly(site, last_id)
    assert site.client.delete(f"/objects/{last_id}/instances?storage_id={SECOND}").status_code == 204
    site.catch_up()
    assert site.contents(site.first) == [MEDIA]
    assert site.contents(site.second) == []
    forget(site, last_id)


@pytest.mark.parametrize("fault", FaultyProxy.FAULTS)
@pytest.mark.parametrize(
    ("content", "step"),
    [(MEDIA, "put_object"), (MEDIA, "head_object"), *((LARGE, step) for step in STREAMED_IN_PARTS)],
    ids=lambda value: len(value) if isinstance(value, bytes) else value,
)
def test_an_upload_through_the_store_that_fails_is_answered_in_time(
    failing_site: FailingSite, proxy: FaultyProxy, content: bytes, step: str, fault: str
) -> None:
    site = failing_site("both", timeout_for(fault, len(content)))
    flow_id = make_flow(site.client)
    with proxy.failing(step, fault):
        answer: Any = within(PATIENCE, lambda: send_with_bytes(site, flow_id, content))
    assert answer.status_code == 503
    assert site.client.get(f"/flows/{flow_id}/segments").json == []
    answer = send_with_bytes(site, flow_id, content)
    assert answer.status_code == 201
    assert site.downloads(answer.json["object_id"]) == {"first": content}
    forget(site, answer.json["object_id"])


def forget(site: Site, object_id: str) -> None:
    """Delete the Object, and check that both backends are as empty as the database."""
    site.delete_object(object_id)
    site.catch_up()
    for storage in site.store.storages.values():
        storage.sweep(-60)
    assert site.contents(site.first) == site.contents(site.second) == []
    assert site.first.sweep(-60) == site.second.sweep(-60) == 0
