"""Bytes that are no longer needed leave the Storage Backends, whatever they were."""

from __future__ import annotations

import io
import time
from dataclasses import replace

from tams.storage.s3.storage import S3Storage
from tams.worker.deletion import collect_allocations
from tests.support.api_steps import make_flow, register, reuse
from tests.support.faulty_proxy import FaultyProxy
from tests.support.storage_site import A_DAY_LATER, SECOND, Site, send_with_bytes

MEDIA = b"media" * 1000


def test_objects_go_with_their_last_reference(site: Site) -> None:
    shared, own = site.record(MEDIA, MEDIA)
    flow_id = make_flow(site.client)
    reuse(site.client, flow_id, [shared])
    site.ask_for_copy(shared)
    site.copy()
    for object_id in (own, shared):
        first_flow = site.client.get(f"/objects/{object_id}").json["first_referenced_by_flow"]
        site.client.delete(f"/flows/{first_flow}")
    site.catch_up()
    assert (len(site.first.listing()), len(site.second.listing())) == (1, 1)
    assert site.downloads(shared) == {"first": MEDIA, "second": MEDIA}
    site.client.delete(f"/flows/{flow_id}/segments")
    site.catch_up()
    assert site.contents(site.first) == site.contents(site.second) == []


def test_uploads_that_were_never_registered_go(site: Site) -> None:
    flow_id = make_flow(site.client)
    uploaded, registered, _ = site.allocate(flow_id, 3)
    for item in (uploaded, registered):
        site.put(item, MEDIA)
    register(site.client, flow_id, registered["object_id"], "[0:0_1:0)")
    moment = site.store.now() + A_DAY_LATER
    collect_allocations(replace(site.store, now=lambda: moment))
    site.catch_up()
    assert len(site.first.listing()) == 1
    site.require_consistent()


def test_unfinished_uploads_in_parts_go(site: Site) -> None:
    assert isinstance(site.first, S3Storage)
    key = site.first.new_key("x")
    site.first.bucket.ask("create_multipart_upload", Key=key, ContentType="video/mp2t")
    assert site.first.sweep(-60) == 1
    site.require_consistent()


def test_a_segment_comes_with_its_bytes_in_parts(site: Site) -> None:
    flow_id = make_flow(site.client)
    large = bytes(range(256)) * 40_000
    for number, content in enumerate((MEDIA, large)):
        answer = send_with_bytes(site, flow_id, content, f"[{number}:0_{number + 1}:0)")
        assert answer.status_code == 201, answer.text
        assert site.downloads(answer.json["object_id"]) == {"first": content}
    assert site.jobs() == []
    site.require_consistent()


def test_bytes_of_a_refused_segment_are_deleted(site: Site) -> None:
    flow_id = make_flow(site.client)
    assert send_with_bytes(site, flow_id, MEDIA).status_code == 201
    assert send_with_bytes(site, flow_id, MEDIA).status_code == 400
    site.catch_up()
    assert len(site.first.listing()) == 1
    site.require_consistent()


def test_bytes_that_a_backend_stored_in_spite_of_an_error_are_deleted(watched: Site, proxy: FaultyProxy) -> None:
    flow_id = make_flow(watched.client)
    for operation, fault in (("put_object", "hang after"), ("head_object", "500")):
        with proxy.failing(operation, fault):
            start = time.monotonic()
            assert send_with_bytes(watched, flow_id, MEDIA).status_code == 503
            assert time.monotonic() - start < 15
    assert len(watched.first.listing()) == 2
    watched.delete()
    assert watched.contents(watched.first) == []
    watched.catch_up()
    assert watched.contents(watched.first) == []


def test_bytes_that_arrive_after_their_deletion_are_deleted(watched: Site, proxy: FaultyProxy) -> None:
    flow_id = make_flow(watched.client)
    with proxy.failing("put_object", "hang"):
        assert send_with_bytes(watched, flow_id, MEDIA).status_code == 503
    key = next(step.key for step in reversed(proxy.steps) if step.operation == "put_object")
    watched.delete()
    # The server stores the bytes of the interrupted upload late.
    watched.first.put(key, io.BytesIO(MEDIA), "video/mp2t")
    watched.catch_up()
    assert watched.contents(watched.first) == []


def test_a_deleted_copy_leaves_no_bytes(site: Site) -> None:
    (object_id,) = site.record(MEDIA)
    site.ask_for_copy(object_id)
    site.copy()
    assert site.delete_instance(object_id, storage_id=SECOND) == 204
    site.delete()
    assert site.contents(site.second) == []
    site.catch_up()
    site.require_consistent()
