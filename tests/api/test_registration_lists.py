"""Registering lists of Segments: in order, continuing after a refusal; and many clients at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tams.domain.identifiers import new_id
from tams.domain.timerange import parse_bounded
from tests.support.api_steps import SECOND, allocate, exists, make_flow, record, register, timeranges
from tests.support.hypothesis_profiles import examples


@pytest.fixture
def flow_id(client: FlaskClient) -> str:
    """Make a Flow that accepts Segments."""
    return make_flow(client)


def post(client: FlaskClient, flow_id: str, segments: list[Any]) -> list[dict[str, Any]]:
    """Register the list; return the refused Segments."""
    answer = client.post(f"/flows/{flow_id}/segments", json=segments)
    if answer.status_code == 201:
        assert answer.data == b""
        return []
    assert answer.status_code == 200, answer.text
    assert list(answer.json) == ["failed_segments"]
    failed: list[dict[str, Any]] = answer.json["failed_segments"]
    assert failed
    return failed


def test_a_list_that_is_stored_is_answered_without_body(client: FlaskClient, flow_id: str) -> None:
    objects = allocate(client, flow_id, 3)
    segments = [{"object_id": o, "timerange": SECOND.format(n, n + 1)} for n, o in enumerate(objects)]
    assert post(client, flow_id, segments) == []
    assert timeranges(client, flow_id) == [segment["timerange"] for segment in segments]


def test_an_empty_list_is_stored(client: FlaskClient, flow_id: str) -> None:
    assert post(client, flow_id, []) == []
    assert "segments_updated" not in client.get(f"/flows/{flow_id}").json


def test_a_list_goes_on_after_a_refusal(client: FlaskClient, flow_id: str) -> None:
    objects = allocate(client, flow_id, 2)
    failed = post(
        client,
        flow_id,
        [
            {"object_id": objects[0], "timerange": "[0:0_1:0)"},
            {"object_id": "nothing", "timerange": "1:0_2:0)"},
            {"object_id": objects[1], "timerange": "[2:0_3:0)"},
        ],
    )
    (item,) = failed
    assert (item["object_id"], item["timerange"]) == ("nothing", "[1:0_2:0)")
    assert {"type", "summary", "time"} <= item["error"].keys()
    assert list(item["error"]["errors"]) == ["object_id"]
    assert timeranges(client, flow_id) == ["[0:0_1:0)", "[2:0_3:0)"]


def test_a_list_that_is_refused_altogether_is_200(client: FlaskClient, flow_id: str) -> None:
    segments = [{"object_id": f"nothing-{n}", "timerange": SECOND.format(n, n + 1)} for n in range(3)]
    assert [item["object_id"] for item in post(client, flow_id, segments)] == ["nothing-0", "nothing-1", "nothing-2"]
    assert "segments_updated" not in client.get(f"/flows/{flow_id}").json


def test_a_list_with_one_item_is_a_list(client: FlaskClient, flow_id: str) -> None:
    assert len(post(client, flow_id, [{"object_id": "nothing", "timerange": "[0:0_1:0)"}])) == 1


def test_a_list_that_breaks_the_schema_stores_nothing(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    good = {"object_id": object_id, "timerange": "[0:0_1:0)"}
    answer = client.post(f"/flows/{flow_id}/segments", json=[good, {"object_id": "b", "timerange": "_"}, 5])
    assert answer.status_code == 400
    assert sorted(answer.json["errors"]) == ["[1].timerange", "[2]"]
    assert timeranges(client, flow_id) == []
    assert not exists(client, f"/objects/{object_id}")


@pytest.mark.parametrize("segments", [[], [{"object_id": "a", "timerange": "[0:0_1:0)"}]])
def test_the_flow_is_judged_before_the_list(client: FlaskClient, flow_id: str, segments: list[Any]) -> None:
    assert client.post(f"/flows/{new_id()}/segments", json=segments).status_code == 404
    bare = new_id()
    document = {"id": bare, "source_id": new_id(), "format": "urn:x-nmos:format:multi"}
    assert client.put(f"/flows/{bare}", json=document).status_code == 201
    answer = client.post(f"/flows/{bare}/segments", json=segments)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["container"])
    assert client.put(f"/flows/{flow_id}/read_only", json=True).status_code == 204
    assert client.post(f"/flows/{flow_id}/segments", json=segments).status_code == 403


def test_of_two_that_overlap_in_a_list_the_first_is_stored(client: FlaskClient, flow_id: str) -> None:
    a, b, c, d = allocate(client, flow_id, 4)
    failed = post(
        client,
        flow_id,
        [
            {"object_id": a, "timerange": "[5:0_6:0)"},
            {"object_id": b, "timerange": "[5:500000000_7:0)"},
            {"object_id": c, "timerange": "[4:0_5:0]"},
            {"object_id": d, "timerange": "[6:0_7:0)"},
        ],
    )
    assert [item["object_id"] for item in failed] == [b, c]
    assert timeranges(client, flow_id) == ["[5:0_6:0)", "[6:0_7:0)"]


def test_the_timerange_of_a_refused_segment_stays_free(client: FlaskClient, flow_id: str) -> None:
    a, b = allocate(client, flow_id, 2)
    failed = post(
        client,
        flow_id,
        [
            {"object_id": "nothing", "timerange": "[0:0_1:0)"},
            {"object_id": a, "timerange": "[0:0_1:0)"},
            {"object_id": b, "timerange": "[0:0_1:0)", "key_frame_count": 9},
            {"object_id": b, "timerange": "[1:0_2:0)"},
        ],
    )
    assert [item["object_id"] for item in failed] == ["nothing", b]
    # The properties of the Object in the refused Segment do not count.
    assert "key_frame_count" not in client.get(f"/objects/{b}").json


def test_an_object_is_registered_and_used_again_in_one_list(client: FlaskClient, flow_id: str) -> None:
    (object_id,) = allocate(client, flow_id)
    entry = {"url": "https://example.com/a", "label": "theirs"}
    failed = post(
        client,
        flow_id,
        [
            {"object_id": object_id, "timerange": "[0:0_1:0)", "object_timerange": "[0:0_2:0)", "key_frame_count": 1},
            {"object_id": object_id, "timerange": "[1:0_2:0)"},
            {"object_id": object_id, "timerange": "[2:0_3:0)"},
            {"object_id": object_id, "timerange": "[3:0_4:0)", "ts_offset": "2:0", "key_frame_count": 2},
            {"object_id": "theirs", "timerange": "[4:0_5:0)", "get_urls": [entry]},
            {"object_id": "theirs", "timerange": "[5:0_6:0)", "ts_offset": "1:0"},
        ],
    )
    assert [(item["object_id"], item["timerange"]) for item in failed] == [
        (object_id, "[2:0_3:0)"),
        (object_id, "[3:0_4:0)"),
    ]
    assert timeranges(client, flow_id) == ["[0:0_1:0)", "[1:0_2:0)", "[4:0_5:0)", "[5:0_6:0)"]


def test_a_refused_first_use_does_not_make_the_object_known(client: FlaskClient, flow_id: str) -> None:
    record(client, flow_id, 1)
    entry = {"url": "https://example.com/a", "label": "theirs"}
    failed = post(
        client,
        flow_id,
        [
            {"object_id": "theirs", "timerange": "[0:0_1:0)", "get_urls": [entry]},
            {"object_id": "theirs", "timerange": "[1:0_2:0)"},
        ],
    )
    assert len(failed) == 2
    assert not exists(client, "/objects/theirs")


points = st.integers(0, 12)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stored=st.lists(st.tuples(points, st.integers(1, 4)), max_size=3),
    requested=st.lists(st.tuples(points, st.integers(1, 4)), min_size=1, max_size=8),
)
def test_a_list_has_the_same_result_as_its_items_one_by_one(
    client: FlaskClient, stored: list[tuple[int, int]], requested: list[tuple[int, int]]
) -> None:
    """Compare with the definition: an item is refused if it overlaps a stored Segment or an earlier accepted item."""
    flow_id = make_flow(client)
    (object_id,) = allocate(client, flow_id)
    register(client, flow_id, object_id, "[1000:0_1100:0)")
    accepted: list[tuple[int, int]] = []

    def is_free(start: int, length: int) -> bool:
        return all(start + length <= other or other + more <= start for other, more in accepted)

    def segment(start: int, length: int) -> dict[str, str]:
        # The offset shifts the Segment to a part of the Object's timerange.
        return {"object_id": object_id, "timerange": SECOND.format(start, start + length), "ts_offset": "-1000:0"}

    for start, length in stored:
        if is_free(start, length):
            accepted.append((start, length))
            register(client, flow_id, **segment(start, length))
    expected = []
    for start, length in requested:
        if is_free(start, length):
            accepted.append((start, length))
        else:
            expected.append(SECOND.format(start, start + length))
    failed = post(client, flow_id, [segment(*item) for item in requested])
    assert [item["timerange"] for item in failed] == expected
    remaining = [SECOND.format(start, start + length) for start, length in sorted(accepted)]
    assert timeranges(client, flow_id) == [*remaining, "[1000:0_1100:0)"]


def test_a_thousand_segments_in_one_list(client: FlaskClient, flow_id: str) -> None:
    objects = allocate(client, flow_id, 1000)
    segments = [{"object_id": o, "timerange": SECOND.format(n, n + 1)} for n, o in enumerate(objects)]
    # The order of the list makes no difference.
    assert post(client, flow_id, segments[::-1]) == []
    answer = client.get(f"/flows/{flow_id}/segments?limit=1000&accept_get_urls=")
    assert [segment["object_id"] for segment in answer.json] == objects


# Many at once


def at_once(count: int, action: Callable[[int], Any]) -> list[Any]:
    """Run `action(0)` to `action(count - 1)` in threads that start at the same moment; return their results."""
    barrier = Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        return action(number)

    with ThreadPoolExecutor(count) as executor:
        return list(executor.map(run, range(count)))


def test_of_overlapping_registrations_exactly_one_wins(app: Flask, client: FlaskClient, flow_id: str) -> None:
    for attempt in range(5):
        objects = allocate(client, flow_id, 8)
        start = attempt * 100

        def register_one(number: int, objects: list[str] = objects, start: int = start) -> int:
            # All timeranges include the instant start + 10.
            timerange = SECOND.format(start + number, start + number + 11)
            body = {"object_id": objects[number], "timerange": timerange}
            return app.test_client().post(f"/flows/{flow_id}/segments", json=body).status_code

        statuses = at_once(8, register_one)
        assert sorted(statuses) == [201] + [400] * 7
        assert sum(exists(client, f"/objects/{object_id}") for object_id in objects) == 1
    ranges = [parse_bounded(text) for text in timeranges(client, flow_id)]
    assert len(ranges) == 5
    assert not any(one.overlaps(two) for one in ranges for two in ranges if one is not two)


def test_overlapping_lists_are_stored_without_overlap(app: Flask, client: FlaskClient, flow_id: str) -> None:
    objects = [allocate(client, flow_id, 20) for _ in range(6)]

    def register_list(number: int) -> tuple[int, int]:
        segments = [
            {"object_id": object_id, "timerange": SECOND.format(position, position + 1)}
            for position, object_id in enumerate(objects[number])
        ]
        answer = app.test_client().post(f"/flows/{flow_id}/segments", json=segments)
        failed = answer.json["failed_segments"] if answer.status_code == 200 else []
        return answer.status_code, len(segments) - len(failed)

    results = at_once(6, register_list)
    assert {status for status, _ in results} <= {200, 201}
    assert sum(stored for _, stored in results) == 20
    assert timeranges(client, flow_id) == [SECOND.format(n, n + 1) for n in range(20)]


def test_one_object_is_first_registered_once(app: Flask, client: FlaskClient, flow_id: str) -> None:
    entry = {"url": "https://example.com/a", "label": "theirs"}
    others = [make_flow(client) for _ in range(6)]

    def register_one(number: int) -> int:
        body = {"object_id": "theirs", "timerange": "[0:0_1:0)", "key_frame_count": number, "get_urls": [entry]}
        return app.test_client().post(f"/flows/{others[number]}/segments", json=body).status_code

    # The first client decides on the Object's properties, which the other requests contradict.
    statuses = at_once(6, register_one)
    assert sorted(statuses) == [201] + [400] * 5
    document = client.get("/objects/theirs").json
    winner = others[document["key_frame_count"]]
    assert document["first_referenced_by_flow"] == winner
    assert document["referenced_by_flows"] == [winner]


def test_writers_to_one_flow_do_not_lose_each_others_segments(app: Flask, client: FlaskClient, flow_id: str) -> None:
    objects = allocate(client, flow_id, 48)

    def register_some(number: int) -> list[int]:
        mine = app.test_client()
        return [
            mine.post(
                f"/flows/{flow_id}/segments", json={"object_id": objects[n], "timerange": SECOND.format(n, n + 1)}
            ).status_code
            for n in range(number, 48, 16)
        ]

    assert at_once(16, register_some) == [[201, 201, 201]] * 16
    assert timeranges(client, flow_id) == [SECOND.format(n, n + 1) for n in range(48)]
    flow = client.get(f"/flows/{flow_id}?include_timerange=true").json
    assert flow["timerange"] == "[0:0_48:0)"
