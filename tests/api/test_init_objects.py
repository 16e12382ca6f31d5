"""Objects with initialisation segments: Segments refer to them, and they are never media themselves."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.api_steps import allocate, exists, make_flow, register, timeranges

WITH_INIT: dict[str, Any] = {"essence_parameters": {"init_segments": True}}


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow whose Objects need initialisation segments."""
    return make_flow(client, **WITH_INIT)


def post(client: FlaskClient, flow_id: str, object_id: str, timerange: str = "[0:0_1:0)", **more: Any) -> TestResponse:
    """Register one Segment; return the response."""
    body = {"object_id": object_id, "timerange": timerange, **more}
    return client.post(f"/flows/{flow_id}/segments", json=body)


def refused(answer: TestResponse, *paths: str) -> None:
    """Check that the response is a 400 that names exactly these fields."""
    assert answer.status_code == 400, answer.text
    assert sorted(answer.json["errors"]) == sorted(paths), answer.text


def test_an_init_object_is_named_with_each_segment(client: FlaskClient, flow_id: str) -> None:
    media, init = allocate(client, flow_id, 2)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    (segment,) = client.get(f"/flows/{flow_id}/segments").json
    assert segment["init_object"].keys() == {"object_id", "get_urls"}
    assert segment["init_object"]["object_id"] == init
    (entry,) = segment["init_object"]["get_urls"]
    assert entry["presigned"] is True
    assert entry["url"] != segment["get_urls"][0]["url"]
    (segment,) = client.get(f"/flows/{flow_id}/segments?accept_get_urls=").json
    assert segment["init_object"] == {"object_id": init, "get_urls": []}


def test_an_object_names_its_init_object_by_id(client: FlaskClient, flow_id: str) -> None:
    media, init = allocate(client, flow_id, 2)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    document = client.get(f"/objects/{media}").json
    assert document["init_object"].keys() == {"id", "get_urls"}
    assert document["init_object"]["id"] == init
    assert document["init_object"]["get_urls"] == client.get(f"/objects/{init}").json["get_urls"]


def test_an_init_object_has_no_timerange_and_indirect_references(client: FlaskClient, flow_id: str) -> None:
    one, two, init = allocate(client, flow_id, 3)
    assert not exists(client, f"/objects/{init}")
    register(client, flow_id, one, "[0:0_1:0)", init_object_id=init)
    register(client, flow_id, two, "[1:0_2:0)", init_object_id=init)
    other = make_flow(client, **WITH_INIT)
    register(client, other, one, "[0:0_1:0)")
    document = client.get(f"/objects/{init}?accept_get_urls=").json
    assert document == {
        "id": init,
        "referenced_by_flows": sorted([flow_id, other]),
        "first_referenced_by_flow": flow_id,
        "get_urls": [],
    }


def test_any_flow_may_use_allocated_storage_for_initialisation_first(client: FlaskClient, flow_id: str) -> None:
    (init,) = allocate(client, make_flow(client))
    (media,) = allocate(client, flow_id)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    assert client.get(f"/objects/{init}").json["first_referenced_by_flow"] == flow_id


def test_an_init_object_of_another_type_is_accepted(client: FlaskClient, flow_id: str) -> None:
    allocation = client.post(f"/flows/{flow_id}/storage", json={"limit": 1, "content_type": "video/mp4"}).json
    (media,) = allocate(client, flow_id)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=allocation["media_objects"][0]["object_id"])


def test_an_unknown_init_object_is_refused(client: FlaskClient, flow_id: str) -> None:
    (media,) = allocate(client, flow_id)
    refused(post(client, flow_id, media, init_object_id="nothing"), "init_object_id")
    assert not exists(client, f"/objects/{media}")


def test_the_flow_says_whether_there_are_init_objects(client: FlaskClient, flow_id: str) -> None:
    media, init = allocate(client, flow_id, 2)
    refused(post(client, flow_id, media), "init_object_id")
    without = make_flow(client)
    (other,) = allocate(client, without)
    refused(post(client, without, other, init_object_id=init), "init_object_id")
    # Every registration above was refused.
    assert not any(exists(client, f"/objects/{object_id}") for object_id in (media, init, other))


def test_reuse_is_checked_against_the_objects_own_init_object(client: FlaskClient, flow_id: str) -> None:
    media, init = allocate(client, flow_id, 2)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    without = make_flow(client)
    refused(post(client, without, media), "init_object_id")
    (plain,) = allocate(client, without)
    register(client, without, plain, "[0:0_1:0)")
    refused(post(client, flow_id, plain, "[5:0_6:0)"), "init_object_id")


def test_the_init_object_of_a_known_object_is_repeated_or_left_out(client: FlaskClient, flow_id: str) -> None:
    media, init, another = allocate(client, flow_id, 3)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    refused(post(client, flow_id, media, "[1:0_2:0)", ts_offset="1:0", init_object_id=another), "init_object_id")
    register(client, flow_id, media, "[1:0_2:0)", ts_offset="1:0", init_object_id=init)
    register(client, flow_id, media, "[2:0_3:0)", ts_offset="2:0")
    assert not exists(client, f"/objects/{another}")


def test_an_object_is_init_or_media_never_both(client: FlaskClient, flow_id: str) -> None:
    media, init, another = allocate(client, flow_id, 3)
    refused(post(client, flow_id, media, init_object_id=media), "init_object_id")
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    refused(post(client, flow_id, init, "[1:0_2:0)", init_object_id=media), "object_id")
    refused(post(client, flow_id, another, "[1:0_2:0)", init_object_id=media), "init_object_id")
    assert timeranges(client, flow_id) == ["[0:0_1:0)"]


def test_a_list_is_checked_item_by_item_for_init_objects(client: FlaskClient, flow_id: str) -> None:
    a, b, c, init = allocate(client, flow_id, 4)
    segments = [
        {"object_id": a, "timerange": "[0:0_1:0)", "init_object_id": init},
        {"object_id": init, "timerange": "[1:0_2:0)", "init_object_id": c},
        {"object_id": b, "timerange": "[2:0_3:0)", "init_object_id": a},
        {"object_id": b, "timerange": "[3:0_4:0)", "init_object_id": init},
        {"object_id": a, "timerange": "[4:0_5:0)", "ts_offset": "4:0"},
    ]
    answer = client.post(f"/flows/{flow_id}/segments", json=segments)
    assert answer.status_code == 200
    assert [failed["object_id"] for failed in answer.json["failed_segments"]] == [init, b]
    assert timeranges(client, flow_id) == ["[0:0_1:0)", "[3:0_4:0)", "[4:0_5:0)"]
    assert not exists(client, f"/objects/{c}")


def test_an_init_object_lives_while_anything_needs_it(client: FlaskClient, flow_id: str) -> None:
    one, two, init = allocate(client, flow_id, 3)
    register(client, flow_id, one, "[0:0_1:0)", init_object_id=init)
    register(client, flow_id, two, "[1:0_2:0)", init_object_id=init)
    assert client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_1:0)").status_code == 204
    assert exists(client, f"/objects/{init}")
    assert client.delete(f"/flows/{flow_id}/segments").status_code == 204
    assert not exists(client, f"/objects/{init}")


def test_instances_do_not_cascade_to_the_init_object(client: FlaskClient, flow_id: str) -> None:
    media, init = allocate(client, flow_id, 2)
    register(client, flow_id, media, "[0:0_1:0)", init_object_id=init)
    body = {"url": "https://example.com/a", "label": "theirs"}
    assert client.post(f"/objects/{media}/instances", json=body).status_code == 201
    assert len(client.get(f"/objects/{init}").json["get_urls"]) == 1
