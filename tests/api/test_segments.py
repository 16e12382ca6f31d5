"""`GET /flows/{flowId}/segments`: the Segments that a query selects, and their properties."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tams.services.store import Store
from tests.support.api_steps import allocate, make_flow, record, register, reuse


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def listing(client: FlaskClient, flow_id: str, **query: str) -> list[str]:
    """Return the timeranges of the Segments that a query selects."""
    answer = client.get(f"/flows/{flow_id}/segments", query_string=query)
    assert answer.status_code == 200, answer.text
    return [segment["timerange"] for segment in answer.json]


def urls(client: FlaskClient, flow_id: str, **query: str) -> list[dict[str, Any]]:
    """Return the get_urls of the Flow's first Segment."""
    answer = client.get(f"/flows/{flow_id}/segments", query_string=query)
    assert answer.status_code == 200, answer.text
    get_urls: list[dict[str, Any]] = answer.json[0]["get_urls"]
    return get_urls


def test_a_flow_that_does_not_exist_has_no_segments(client: FlaskClient) -> None:
    answer = client.get(f"/flows/{new_id()}/segments")
    assert (answer.status_code, answer.json) == (200, [])
    assert answer.headers["X-Paging-Timerange"] == "()"


def test_a_malformed_flow_id_is_not_listing(client: FlaskClient) -> None:
    assert client.get("/flows/nothing/segments").status_code == 404


def test_head_has_the_same_headers_and_no_body(client: FlaskClient, flow_id: str) -> None:
    record(client, flow_id, 3)
    get = client.get(f"/flows/{flow_id}/segments?limit=2&accept_get_urls=")
    head = client.head(f"/flows/{flow_id}/segments?limit=2&accept_get_urls=")
    assert head.data == b""
    assert head.status_code == 200
    # Each request has a different id.
    same = {name: value for name, value in get.headers.items() if name != "X-Request-ID"}
    assert {name: value for name, value in head.headers.items() if name != "X-Request-ID"} == same


@pytest.mark.parametrize(
    ("timerange", "expected"),
    [
        ("_", ["[0:0_1:0)", "[1:0_2:0)", "[3:0]", "[4:0_5:0]"]),
        ("[0:0_1:0)", ["[0:0_1:0)"]),
        ("[0:0_1:0]", ["[0:0_1:0)", "[1:0_2:0)"]),
        ("(0:0_1:0)", ["[0:0_1:0)"]),
        ("[1:500000000]", ["[1:0_2:0)"]),
        ("1:500000000", ["[1:0_2:0)"]),
        ("[2:0_3:0)", []),
        ("[2:0_3:0]", ["[3:0]"]),
        ("(3:0_4:0)", []),
        ("[5:0]", ["[4:0_5:0]"]),
        ("(5:0_", []),
        ("_1:0)", ["[0:0_1:0)"]),
        ("[3:0_", ["[3:0]", "[4:0_5:0]"]),
        ("[-99999999999:0_99999999999:0)", ["[0:0_1:0)", "[1:0_2:0)", "[3:0]", "[4:0_5:0]"]),
        ("[99999999998:0_99999999999:0)", []),
        ("()", []),
        ("", []),
        ("[2:0_1:0)", []),
        ("[1:0_1:0)", []),
        ("(1:0)", []),
    ],
)
def test_segments_that_overlap_the_timerange_are_listing(
    client: FlaskClient, flow_id: str, timerange: str, expected: list[str]
) -> None:
    objects = allocate(client, flow_id, 4)
    for object_id, at in zip(objects, ["[0:0_1:0)", "[1:0_2:0)", "[3:0]", "[4:0_5:0]"], strict=True):
        register(client, flow_id, object_id, at)
    assert listing(client, flow_id, timerange=timerange) == expected
    assert listing(client, flow_id, timerange=timerange, reverse_order="true") == expected[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "timerange=x", "timerange=[0:0_01:0)", "reverse_order=yes", "reverse_order=", "limit=0", "limit=-1", "limit=x",
        "limit=", "page=x", "page=", "presigned=1", "verbose_storage=on", "include_object_timerange=2",
        "accept_storage_ids=x", "accept_get_urls=a,,b", "storage_backend_tag_exists.x=maybe",
    ],
)  # fmt: skip
def test_a_malformed_parameter_is_refused_and_named(client: FlaskClient, flow_id: str, query: str) -> None:
    answer = client.get(f"/flows/{flow_id}/segments?{query}")
    assert answer.status_code == 400, answer.text
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


def test_unknown_parameters_are_ignored(client: FlaskClient, flow_id: str) -> None:
    assert client.get(f"/flows/{flow_id}/segments?utm=1&TimeRange=x").status_code == 200


def test_segments_of_one_object_are_listing(client: FlaskClient, flow_id: str) -> None:
    first, second = allocate(client, flow_id, 2)
    register(client, flow_id, first, "[0:0_1:0)")
    register(client, flow_id, second, "[1:0_2:0)")
    register(client, flow_id, first, "[2:0_3:0)", ts_offset="2:0")
    assert listing(client, flow_id, object_id=first) == ["[0:0_1:0)", "[2:0_3:0)"]
    assert listing(client, flow_id, object_id=first, timerange="[1:0_") == ["[2:0_3:0)"]
    assert listing(client, flow_id, object_id="nothing") == []


def test_what_was_registered_is_returned(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    body = {
        "object_id": object_id,
        "timerange": "[10:0_11:0)",
        "ts_offset": "-0:500000000",
        "last_duration": "0:40000000",
        "sample_offset": 5,
        "sample_count": 25,
        "key_frame_count": 1,
        "object_timerange": "[10:0_20:0]",
    }
    assert client.post(f"/flows/{flow_id}/segments", json=body).status_code == 201
    (segment,) = client.get(f"/flows/{flow_id}/segments?accept_get_urls=&include_object_timerange=true").json
    assert segment == {**body, "get_urls": []}
    (segment,) = client.get(f"/flows/{flow_id}/segments?accept_get_urls=").json
    assert "object_timerange" not in segment


def test_what_was_not_given_is_not_returned(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = record(client, flow_id, 1)
    (segment,) = client.get(f"/flows/{flow_id}/segments?accept_get_urls=").json
    assert segment == {"object_id": object_id, "timerange": "[0:0_1:0)", "get_urls": []}


def test_a_zero_offset_is_kept_apart_from_none(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    register(client, flow_id, object_id, "[0:0_1:0)", ts_offset="-0:0")
    (segment,) = client.get(f"/flows/{flow_id}/segments").json
    assert segment["ts_offset"] == "0:0"


# Paging headers


def test_the_page_tells_its_timerange(client: FlaskClient, flow_id: str) -> None:
    objects = allocate(client, flow_id, 3)
    for object_id, at in zip(objects, ["[0:0_1:0)", "[1:0_2:0]", "[3:0]"], strict=True):
        register(client, flow_id, object_id, at)
    path = f"/flows/{flow_id}/segments"
    first = client.get(f"{path}?limit=2")
    assert first.headers["X-Paging-Timerange"] == "[0:0_2:0]"
    last = client.get(f"{path}?limit=2&page={first.headers['X-Paging-NextKey']}")
    assert last.headers["X-Paging-Timerange"] == "[3:0]"
    assert "X-Paging-NextKey" not in last.headers
    backwards = client.get(f"{path}?limit=2&reverse_order=true")
    assert backwards.headers["X-Paging-Timerange"] == "[1:0_3:0]"
    assert backwards.headers["X-Paging-Reverse-Order"] == "true"
    assert client.get(f"{path}?timerange=()").headers["X-Paging-Timerange"] == "()"


# get_urls


def test_a_controlled_url_is_presigned_and_absolute(client: FlaskClient, store: Store, flow_id: str) -> None:
    record(client, flow_id, 1)
    (entry,) = urls(client, flow_id)
    assert entry == {"url": entry["url"], "presigned": True, "label": store.storage(None).backend.label}
    assert entry["url"].startswith("http://localhost/")
    assert len(entry["url"]) < 2048


def test_verbose_storage_tells_about_the_backend(client: FlaskClient, store: Store, flow_id: str) -> None:
    record(client, flow_id, 1)
    backend = store.storage(None).backend
    (entry,) = urls(client, flow_id, verbose_storage="True")
    assert {name: value for name, value in entry.items() if name != "url"} == {
        "presigned": True,
        "label": backend.label,
        "controlled": True,
        "storage_id": backend.id,
        "store_type": "http_object_store",
        "provider": backend.provider,
        "store_product": backend.store_product,
    }


def test_an_answer_with_presigned_urls_is_not_to_be_kept(client: FlaskClient, flow_id: str) -> None:
    path = f"/flows/{flow_id}/segments"
    assert "ETag" in client.get(path).headers
    record(client, flow_id, 1)
    signed = client.get(path)
    assert signed.headers["Cache-Control"] == "no-store"
    assert "ETag" not in signed.headers
    plain = client.get(f"{path}?accept_get_urls=")
    assert "Cache-Control" not in plain.headers
    again = client.get(f"{path}?accept_get_urls=", headers={"If-None-Match": plain.headers["ETag"]})
    assert again.status_code == 304


def test_an_external_url_is_shown_as_it_was_given(client: FlaskClient, flow_id: str) -> None:
    entry = {"url": "https://example.com/a?b=c&d=é", "label": "theirs"}
    register(client, flow_id, "external", "[0:0_1:0)", get_urls=[entry])
    assert urls(client, flow_id) == [entry]
    assert urls(client, flow_id, verbose_storage="true") == [{**entry, "controlled": False}]
    assert "ETag" in client.get(f"/flows/{flow_id}/segments").headers


def test_filters_choose_among_the_urls_and_combine(client: FlaskClient, store: Store, flow_id: str) -> None:
    (object_id,) = record(client, flow_id, 1)
    added = client.post(f"/objects/{object_id}/instances", json={"url": "https://example.com/a", "label": "theirs"})
    assert added.status_code == 201
    backend = store.storage(None).backend

    def labels(**query: str) -> list[str]:
        return [entry["label"] for entry in urls(client, flow_id, **query)]

    both = [backend.label, "theirs"]
    assert labels() == both
    assert labels(accept_get_urls="") == []
    assert labels(accept_get_urls="theirs") == ["theirs"]
    assert labels(accept_get_urls=f"theirs,{backend.label}") == both
    assert labels(accept_get_urls="other") == []
    assert labels(accept_storage_ids=backend.id) == [backend.label]
    assert labels(accept_storage_ids=f"{new_id()},{backend.id}") == [backend.label]
    assert labels(accept_storage_ids=new_id()) == []
    assert labels(accept_storage_ids="") == both
    assert labels(presigned="true") == [backend.label]
    assert labels(presigned="FALSE") == ["theirs"]
    assert labels(**{"storage_backend_tag_exists.tier": "true"}) == []
    assert labels(**{"storage_backend_tag_exists.tier": "false"}) == both
    assert labels(**{"storage_backend_tag.tier": "fast"}) == []
    assert labels(accept_get_urls="theirs", accept_storage_ids=backend.id) == []
    assert labels(accept_get_urls="theirs", presigned="true") == []


def test_an_object_used_again_is_shown_alike_in_both_flows(client: FlaskClient, flow_id: str) -> None:
    objects = record(client, flow_id, 2)
    other = make_flow(client)
    reuse(client, other, objects)
    query = "?accept_get_urls=&include_object_timerange=true"
    assert client.get(f"/flows/{other}/segments{query}").json == client.get(f"/flows/{flow_id}/segments{query}").json
