"""`/flows/{flowId}/…`: one property at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.flow_documents import data, get, get_source, put, put_json, put_profile, video

DELETABLE = ["description", "label", "flow_collection", "max_bit_rate", "avg_bit_rate"]
VALUES: list[tuple[str, Any]] = [
    ("description", "Übersicht & mehr"),
    ("description", ""),
    ("label", "Camera 1"),
    ("max_bit_rate", 5000),
    ("avg_bit_rate", 0),
    ("read_only", True),
    ("read_only", False),
    ("tags/a%2Fb%3F%25", "c"),
    ("tags/%2e%2e", ["d", "e"]),
    ("tags/empty", []),
]


@pytest.mark.parametrize(("path", "value"), VALUES)
def test_a_property_is_set_and_shown(client: FlaskClient, path: str, value: Any) -> None:
    flow_id = put(client, data(metadata_version="v1", updated_by="me"))
    url = f"/flows/{flow_id}/{path}"
    answer = client.put(url, json=value)
    assert (answer.status_code, answer.data) == (204, b"")
    answer = client.get(url)
    assert (answer.status_code, answer.json) == (200, value)
    head = client.head(url)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])
    flow = get(client, flow_id)
    if "/" not in path:
        assert flow[path] == value
    assert flow["metadata_version"] != "v1"
    assert flow["updated_by"] == "anonymous"


@pytest.mark.parametrize(
    ("path", "value"), [("description", "a"), ("label", "b"), ("max_bit_rate", 1), ("avg_bit_rate", 2)]
)
def test_a_property_is_unset(client: FlaskClient, path: str, value: Any) -> None:
    flow_id = put(client, data(**{path: value}))
    before = get(client, flow_id)
    url = f"/flows/{flow_id}/{path}"
    assert client.delete(url).status_code == 204
    after = get(client, flow_id)
    assert path not in after
    assert after["metadata_version"] != before["metadata_version"]
    assert client.get(url).status_code == 404
    assert client.delete(url).status_code == 204
    assert get(client, flow_id) == after


def test_a_new_flow_has_no_optional_properties(client: FlaskClient) -> None:
    url = f"/flows/{put(client, data())}"
    for path in ("description", "label", "max_bit_rate", "avg_bit_rate", "tags/a"):
        assert client.get(f"{url}/{path}").status_code == 404
    assert client.get(f"{url}/read_only").json is False
    assert client.get(f"{url}/flow_collection").json == []
    assert client.get(f"{url}/tags").json == {}
    assert client.delete(f"{url}/tags/a").status_code == 404
    assert client.delete(f"{url}/read_only").status_code == 405


def test_tags_are_replaced_and_removed_one_by_one(client: FlaskClient) -> None:
    flow_id = put(client, data(tags={"a": "1", "b": ["2"]}))
    url = f"/flows/{flow_id}/tags"
    assert client.put(f"{url}/a", json=["3", "4"]).status_code == 204
    assert client.put(f"{url}/c", json="5").status_code == 204
    assert client.delete(f"{url}/b").status_code == 204
    assert client.get(url).json == {"a": ["3", "4"], "c": "5"} == get(client, flow_id)["tags"]


def test_the_source_is_not_touched_by_its_flows_properties(client: FlaskClient) -> None:
    document = data(label="a")
    flow_id = put(client, document)
    before = get_source(client, document["source_id"])
    assert client.put(f"/flows/{flow_id}/label", json="b").status_code == 204
    assert client.put(f"/flows/{flow_id}/tags/x", json="y").status_code == 204
    assert get_source(client, document["source_id"]) == before


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("description", None, "description"),
        ("description", 5, "description"),
        ("label", ["a"], "label"),
        ("label", "x" * 1025, "label"),
        ("label", "é" * 513, "label"),
        ("read_only", "true", "read_only"),
        ("read_only", 1, "read_only"),
        ("read_only", None, "read_only"),
        ("max_bit_rate", -1, "max_bit_rate"),
        ("max_bit_rate", True, "max_bit_rate"),
        ("max_bit_rate", "5", "max_bit_rate"),
        ("max_bit_rate", 1.5, "max_bit_rate"),
        ("max_bit_rate", None, "max_bit_rate"),
        ("avg_bit_rate", -1, "avg_bit_rate"),
        ("avg_bit_rate", 2**63, "body"),
        ("flow_collection", {}, "flow_collection"),
        ("flow_collection", [{}], "flow_collection[0].id"),
        ("flow_collection", [{"id": "x"}], "flow_collection[0].id"),
        ("flow_collection", ["x"], "flow_collection[0]"),
        ("flow_collection", [{"id": "{flow}", "role": 5}], "flow_collection[0].role"),
        ("flow_collection", None, "flow_collection"),
        ("tags/a", 5, "tags.a"),
        ("tags/a", {}, "tags.a"),
        ("tags/a", None, "tags.a"),
        ("tags/a", ["b", None], "tags.a"),
        ("tags/a", "x" * 1025, "tags.a"),
        ("tags/a", ["x" * 1025], "tags.a"),
        (f"tags/{'x' * 1025}", "b", f"tags.{'x' * 1025}"),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(client: FlaskClient, path: str, value: Any, error: str) -> None:
    flow_id = put(client, data())
    before = get(client, flow_id)
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].get("id") == "{flow}":
        value[0]["id"] = flow_id
    answer = put_json(client, f"/flows/{flow_id}/{path}", value)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [error]
    assert get(client, flow_id) == before


def test_a_body_that_is_no_json_is_415_or_400(client: FlaskClient) -> None:
    url = f"/flows/{put(client, data())}/label"
    assert client.put(url, data="label", content_type="text/plain").status_code == 415
    assert client.put(url, data="label", content_type="application/json").status_code == 400
    assert client.put(url).status_code == 400


def test_an_unknown_flow_is_404_before_anything_else(client: FlaskClient) -> None:
    url = f"/flows/{new_id()}"
    for path in (*DELETABLE, "read_only", "tags", "tags/a"):
        assert client.get(f"{url}/{path}").status_code == 404
        assert client.head(f"{url}/{path}").status_code == 404
        if path != "tags":
            assert client.put(f"{url}/{path}", data="{", content_type="text/plain").status_code == 404
        if path not in ("tags", "read_only"):
            assert client.delete(f"{url}/{path}").status_code == 404


def test_a_read_only_flow_refuses_all_but_read_only(client: FlaskClient) -> None:
    flow_id = put(client, video(read_only=True, tags={"a": "b"}, label="a"))
    before = get(client, flow_id)
    url = f"/flows/{flow_id}"
    for path in (*DELETABLE, "tags/a"):
        assert client.get(f"{url}/{path}").status_code in (200, 404)
        assert client.put(f"{url}/{path}", data="{", content_type="text/plain").status_code == 403
        assert client.delete(f"{url}/{path}").status_code == 403
    assert client.put(f"{url}/read_only", data="{", content_type="application/json").status_code == 400
    assert client.delete(url).status_code == 403
    assert get(client, flow_id) == before
    assert client.put(f"{url}/read_only", json=False).status_code == 204
    assert client.put(f"{url}/label", json="c").status_code == 204
    flow = get(client, flow_id)
    assert (flow["label"], flow["read_only"]) == ("c", False)


def test_avg_bit_rate_of_a_flow_with_a_profile_comes_from_the_profile(client: FlaskClient) -> None:
    flow_id = new_id()
    put(client, {"id": flow_id, "source_id": new_id(), "profile_id": put_profile(client)})
    before = get(client, flow_id)
    url = f"/flows/{flow_id}/avg_bit_rate"
    assert client.get(url).json == 5000
    for answer in (client.put(url, json=1), client.delete(url)):
        assert answer.status_code == 400
        assert list(answer.json["errors"]) == ["avg_bit_rate"]
    assert get(client, flow_id) == before
    assert client.put(f"/flows/{flow_id}/max_bit_rate", json=9000).status_code == 204
    assert get(client, flow_id)["profile_id"] == before["profile_id"]


def test_a_flow_cannot_outgrow_the_limit_tag_by_tag(client: FlaskClient) -> None:
    flow_id = put(client, data(description="x" * 62_000))
    assert client.put(f"/flows/{flow_id}/tags/a", json=["x" * 1024] * 2).status_code == 204
    assert client.put(f"/flows/{flow_id}/tags/b", json=["x" * 1024] * 2).status_code == 400
    assert list(get(client, flow_id)["tags"]) == ["a"]


def test_changes_made_at_the_same_time_are_all_kept(client: FlaskClient, app: Flask) -> None:
    flow_id = put(client, data())
    names = [str(index) for index in range(12)]
    with ThreadPoolExecutor(6) as threads:
        answers = threads.map(lambda name: app.test_client().put(f"/flows/{flow_id}/tags/{name}", json=name), names)
        assert [answer.status_code for answer in answers] == [204] * len(names)
    assert sorted(get(client, flow_id)["tags"]) == sorted(names)
