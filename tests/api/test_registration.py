"""Registering one Segment: which requests are accepted and which refused; a refused request changes nothing."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.api.context import STORE
from tams.domain.identifiers import new_id
from tams.services.store import Store
from tests.support.api_steps import allocate, exists, make_flow, record, register, timeranges


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def post(client: FlaskClient, flow_id: str, object_id: str, timerange: str = "[0:0_1:0)", **more: Any) -> TestResponse:
    """Register one Segment; return the response."""
    body = {"object_id": object_id, "timerange": timerange, **more}
    return client.post(f"/flows/{flow_id}/segments", json=body)


def refused(answer: TestResponse, *paths: str) -> str:
    """Check that the response is a 400 that names exactly these fields; return its summary."""
    assert answer.status_code == 400, answer.text
    assert sorted(answer.json["errors"]) == sorted(paths), answer.text
    return str(answer.json["summary"])


def test_a_registered_segment_is_answered_without_body(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    answer = post(client, flow_id, object_id)
    assert (answer.status_code, answer.data) == (201, b"")
    assert timeranges(client, flow_id) == ["[0:0_1:0)"]


# The Flow


def test_the_flow_has_to_exist(client: FlaskClient) -> None:
    answer = client.post(f"/flows/{new_id()}/segments", data="not even JSON")
    assert answer.status_code == 404


def test_a_read_only_flow_takes_no_segments(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    assert client.put(f"/flows/{flow_id}/read_only", json=True).status_code == 204
    assert post(client, flow_id, object_id).status_code == 403
    assert client.post(f"/flows/{flow_id}/segments", data="not even JSON").status_code == 403
    assert client.put(f"/flows/{flow_id}/read_only", json=False).status_code == 204
    assert post(client, flow_id, object_id).status_code == 201


def test_a_flow_without_container_takes_no_segments(client: FlaskClient) -> None:
    flow_id = new_id()
    document = {"id": flow_id, "source_id": new_id(), "format": "urn:x-nmos:format:multi"}
    assert client.put(f"/flows/{flow_id}", json=document).status_code == 201
    refused(post(client, flow_id, "a", get_urls=[{"url": "https://example.com/a", "label": "a"}]), "container")


def test_registering_updates_the_flow(client: FlaskClient, flow_id: str) -> None:
    before = client.get(f"/flows/{flow_id}?include_timerange=true").json
    assert "segments_updated" not in before
    register(client, flow_id, allocate(client, flow_id)[0], "[5:0_6:0]")
    after = client.get(f"/flows/{flow_id}?include_timerange=true").json
    assert after["timerange"] == "[5:0_6:0]"
    assert "segments_updated" in after
    assert after["metadata_version"] == before["metadata_version"]


# The body


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_body_that_is_not_json_is_415(client: FlaskClient, flow_id: str, content_type: str) -> None:
    answer = client.post(f"/flows/{flow_id}/segments", data="{}", content_type=content_type)
    assert answer.status_code == 415


@pytest.mark.parametrize("data", ["", "{", "[1,]", '{"object_id": "a" "timerange": "_"}'])
def test_json_that_does_not_parse_is_400(client: FlaskClient, flow_id: str, data: str) -> None:
    answer = client.post(f"/flows/{flow_id}/segments", data=data, content_type="application/json")
    assert answer.status_code == 400


def test_every_field_at_fault_is_named(client: FlaskClient, flow_id: str) -> None:
    body = {"timerange": "[1:0_0:0)", "ts_offset": 5, "get_urls": [{"url": "x"}], "key_frame_count": "1"}
    answer = client.post(f"/flows/{flow_id}/segments", json=body)
    refused(answer, "object_id", "timerange", "ts_offset", "get_urls[0].url", "get_urls[0].label", "key_frame_count")


def test_what_cannot_be_stored_is_refused_and_named(client: FlaskClient, flow_id: str) -> None:
    refused(post(client, flow_id, "a\x00b"), "object_id")
    refused(post(client, flow_id, "a", sample_count=2**63), "sample_count")


def test_a_body_as_get_gave_it_can_be_sent_back(client: FlaskClient, flow_id: str) -> None:
    other = make_flow(client)
    register(client, flow_id, "a", "[0:0_1:0)", get_urls=[{"url": "https://example.com/a", "label": "theirs"}])
    (segment,) = client.get(f"/flows/{flow_id}/segments?verbose_storage=true").json
    assert client.post(f"/flows/{other}/segments", json=segment).status_code == 201


# Overlap


@pytest.mark.parametrize(
    ("timerange", "accepted"),
    [
        ("[10:0_11:0)", False),
        ("[9:0_10:0)", True),
        ("[9:0_10:0]", False),
        ("[11:0_12:0)", True),
        ("[11:0]", True),
        ("[10:999999999_12:0)", False),
        ("[10:500000000]", False),
        ("[10:500000000_10:600000000)", False),
        ("[0:0_20:0)", False),
        ("[9:999999999]", True),
        ("[-5:0_-4:0)", True),
    ],
)
def test_segments_of_one_flow_never_overlap(client: FlaskClient, flow_id: str, timerange: str, accepted: bool) -> None:
    first, second = allocate(client, flow_id, 2)
    register(client, flow_id, first, "[10:0_11:0)")
    answer = post(client, flow_id, second, timerange)
    if accepted:
        assert answer.status_code == 201
    else:
        refused(answer, "timerange")
        assert timeranges(client, flow_id) == ["[10:0_11:0)"]
        assert not exists(client, f"/objects/{second}")
        # The Object is unchanged: it can still be registered for the first time.
        assert post(client, flow_id, second, "[50:0_51:0)", key_frame_count=3).status_code == 201


def test_an_exclusive_end_leaves_room_for_an_instant(client: FlaskClient, flow_id: str) -> None:
    first, second, third = allocate(client, flow_id, 3)
    register(client, flow_id, first, "[1:0_2:0)")
    register(client, flow_id, second, "[2:0]")
    refused(post(client, flow_id, third, "[2:0_3:0)"), "timerange")
    register(client, flow_id, third, "[2:1_3:0)")
    assert timeranges(client, flow_id) == ["[1:0_2:0)", "[2:0]", "[2:1_3:0)"]


def test_the_same_time_in_another_flow_is_free(client: FlaskClient, flow_id: str) -> None:
    other = make_flow(client)
    record(client, flow_id, 1)
    record(client, other, 1)
    assert timeranges(client, other) == ["[0:0_1:0)"]


# Objects


def test_an_unknown_object_is_refused(client: FlaskClient, flow_id: str) -> None:
    refused(post(client, flow_id, "nothing"), "object_id")
    assert timeranges(client, flow_id) == []


def test_storage_is_only_for_the_flow_that_allocated_it(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    other = make_flow(client)
    refused(post(client, other, object_id), "object_id")
    register(client, flow_id, object_id, "[0:0_1:0)")
    # Once it is registered, any Flow may use it.
    register(client, other, object_id, "[0:0_1:0)")


def test_storage_of_a_deleted_flow_is_not_for_a_new_flow_of_the_same_id(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    assert client.delete(f"/flows/{flow_id}").status_code == 204
    make_flow(client, flow_id)
    refused(post(client, flow_id, object_id), "object_id")


def test_storage_for_another_type_is_not_for_media(client: FlaskClient, flow_id: str) -> None:
    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": 1, "content_type": "video/mp4"})
    refused(post(client, flow_id, answer.json["media_objects"][0]["object_id"]), "object_id")


def test_an_object_can_be_used_twice_in_one_flow(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = record(client, flow_id, 1)
    register(client, flow_id, object_id, "[5:0_6:0)", ts_offset="5:0")
    assert client.get(f"/objects/{object_id}").json["referenced_by_flows"] == [flow_id]


def test_a_segment_lies_inside_its_object(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    refused(post(client, flow_id, object_id, "[0:0_2:0)", object_timerange="[0:0_1:0)"), "timerange")
    refused(post(client, flow_id, object_id, "[10:0_11:0)", object_timerange="[0:0_1:0)"), "timerange")
    register(client, flow_id, object_id, "[10:0_11:0)", object_timerange="[0:0_5:0)", ts_offset="10:0")
    other = make_flow(client)
    refused(post(client, other, object_id, "[4:0_6:0)"), "timerange")
    refused(post(client, other, object_id, "[0:0_5:0]"), "timerange")
    refused(post(client, other, object_id, "[0:0_5:0)", ts_offset="0:1"), "timerange")
    register(client, other, object_id, "[2:0_5:0)")
    register(client, other, object_id, "[102:0_105:0)", ts_offset="100:0")


def test_the_objects_timerange_is_by_default_what_the_first_segment_uses(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    register(client, flow_id, object_id, "[10:0_11:0]", ts_offset="10:0")
    assert client.get(f"/objects/{object_id}").json["timerange"] == "[0:0_1:0]"
    refused(post(client, flow_id, object_id, "[20:0_21:1]", ts_offset="20:0"), "timerange")


@pytest.mark.parametrize(
    ("name", "same", "other"),
    [
        ("object_timerange", ["[0:0_10:0)", "0:0_10:0)", "[0:0_9:999999999]", "[-0:0_10:0)"], "[0:0_11:0)"),
        ("key_frame_count", [4, 4.0], 5),
    ],
)
def test_properties_of_an_object_are_repeated_or_left_alone(
    client: FlaskClient, flow_id: str, name: str, same: list[Any], other: Any
) -> None:
    (object_id,) = allocate(client, flow_id)
    register(client, flow_id, object_id, "[0:0_1:0)", object_timerange="[0:0_10:0)", key_frame_count=4)
    before = client.get(f"/objects/{object_id}?accept_get_urls=").json
    refused(post(client, flow_id, object_id, "[1:0_2:0)", **{name: other}), name)
    for number, value in enumerate(same, start=2):
        register(client, flow_id, object_id, f"[{number}:0_{number + 1}:0)", **{name: value})
    assert client.get(f"/objects/{object_id}?accept_get_urls=").json == before


def test_a_property_is_not_added_later(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = record(client, flow_id, 1)
    refused(post(client, make_flow(client), object_id, key_frame_count=1), "key_frame_count")
    assert "key_frame_count" not in client.get(f"/objects/{object_id}").json


# External Objects


def test_an_external_object_needs_a_url(client: FlaskClient, flow_id: str) -> None:
    refused(post(client, flow_id, "theirs", get_urls=[]), "object_id")
    register(client, flow_id, "theirs", "[0:0_1:0)", get_urls=[{"url": "https://example.com/a", "label": "a"}])
    assert client.get("/objects/theirs").json["get_urls"] == [{"url": "https://example.com/a", "label": "a"}]


def test_a_backends_label_is_not_for_clients(client: FlaskClient, store: Store, flow_id: str) -> None:
    label = store.storage(None).backend.label
    entry = {"url": "https://example.com/a", "label": label}
    refused(post(client, flow_id, "theirs", get_urls=[entry]), "get_urls[0].label")
    assert not exists(client, "/objects/theirs")


def test_urls_of_a_known_object_are_repeated_or_left_alone(client: FlaskClient, flow_id: str) -> None:
    one = {"url": "https://example.com/1", "label": "one"}
    two = {"url": "https://example.com/2", "label": "two"}
    register(client, flow_id, "theirs", "[0:0_1:0)", get_urls=[one, two])
    other = make_flow(client)
    refused(post(client, other, "theirs", get_urls=[one, {**two, "url": "https://example.com/3"}]), "get_urls[1]")
    refused(post(client, other, "theirs", get_urls=[one, {**two, "label": "three"}]), "get_urls[1]")
    register(client, other, "theirs", "[0:0_1:0)", get_urls=[two])
    assert client.get("/objects/theirs").json["get_urls"] == [one, two]


def test_urls_are_not_added_to_allocated_storage(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    refused(
        post(client, flow_id, object_id, get_urls=[{"url": "https://example.com/1", "label": "one"}]), "get_urls[0]"
    )


# Checks of uploads


@pytest.fixture(params=[True, "auto"])
def checked(app: Flask, request: pytest.FixtureRequest) -> FlaskClient:
    """Return a client of a store with TAMS_VERIFY_UPLOADS, whose media are in a local directory."""
    store: Store = app.extensions[STORE]
    app.extensions[STORE] = replace(store, settings=replace(store.settings, verify_uploads=request.param))
    return app.test_client()


def test_an_object_whose_bytes_were_not_uploaded_is_refused(checked: FlaskClient) -> None:
    flow_id = make_flow(checked)
    allocations = checked.post(f"/flows/{flow_id}/storage", json={"limit": 2}).json["media_objects"]
    url = allocations[0]["put_url"]
    assert checked.put(url["url"], data=b"media", content_type=url["content-type"]).status_code == 200
    present, absent = (item["object_id"] for item in allocations)
    refused(post(checked, flow_id, absent), "object_id")
    answer = checked.post(
        f"/flows/{flow_id}/segments",
        json=[{"object_id": absent, "timerange": "[0:0_1:0)"}, {"object_id": present, "timerange": "[0:0_1:0)"}],
    )
    assert [failed["object_id"] for failed in answer.json["failed_segments"]] == [absent]
    # Bytes of external Objects and of registered Objects are not checked.
    register(checked, flow_id, "theirs", "[1:0_2:0)", get_urls=[{"url": "https://example.com/a", "label": "a"}])
    register(checked, make_flow(checked), present, "[0:0_1:0)")


def test_by_default_a_segment_may_be_registered_before_its_bytes_are_uploaded(client: FlaskClient) -> None:
    flow_id = make_flow(client)
    (item,) = client.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"]
    register(client, flow_id, item["object_id"], "[0:0_1:0)")
    url = client.get(f"/flows/{flow_id}/segments").json[0]["get_urls"][0]["url"]
    assert client.get(url).status_code == 404
    put = item["put_url"]
    assert client.put(put["url"], data=b"media", content_type=put["content-type"]).status_code == 200
    assert client.get(url).data == b"media"


def test_an_init_object_whose_bytes_were_not_uploaded_is_refused(checked: FlaskClient) -> None:
    flow_id = make_flow(checked, essence_parameters={"init_segments": True})
    allocations = checked.post(f"/flows/{flow_id}/storage", json={"limit": 2}).json["media_objects"]
    url = allocations[0]["put_url"]
    assert checked.put(url["url"], data=b"media", content_type=url["content-type"]).status_code == 200
    media, init = (item["object_id"] for item in allocations)
    refused(post(checked, flow_id, media, init_object_id=init), "init_object_id")


def test_a_segment_with_its_bytes_needs_the_bytes_of_its_init_object_too(checked: FlaskClient) -> None:
    flow_id = make_flow(checked, essence_parameters={"init_segments": True})
    (init,) = checked.post(f"/flows/{flow_id}/storage", json={"limit": 1}).json["media_objects"]

    def send() -> Any:
        segment = {"timerange": "[0:0_1:0)", "init_object_id": init["object_id"]}
        parts = {
            "segment_data": (io.BytesIO(json.dumps(segment).encode()), None),
            "file": (io.BytesIO(b"media"), "media"),
        }
        return checked.post(f"/flows/{flow_id}/segments", data=parts, content_type="multipart/form-data")

    refused(send(), "init_object_id")
    put = init["put_url"]
    assert checked.put(put["url"], data=b"init", content_type=put["content-type"]).status_code == 200
    assert send().status_code == 201
