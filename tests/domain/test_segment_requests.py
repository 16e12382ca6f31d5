"""The parser of registration bodies."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tams.domain.errors import Invalid
from tams.domain.segment_requests import SegmentRequest, parse_requests
from tams.domain.timerange import TimeRange

SECOND = 1_000_000_000
SEGMENT = {"object_id": "a", "timerange": "[0:0_1:0)"}


def faults(body: Any) -> dict[str, list[str]]:
    """Return the faults in the body, by path."""
    with pytest.raises(Invalid) as caught:
        parse_requests(body)
    assert str(caught.value)
    return caught.value.errors


def test_a_segment_is_read() -> None:
    assert parse_requests(SEGMENT) == [SegmentRequest("a", TimeRange(0, SECOND))]


def test_everything_that_a_segment_can_have_is_read() -> None:
    body = {
        "object_id": "a/b",
        "timerange": "[10:0_11:0]",
        "ts_offset": "-0:500000000",
        "last_duration": "0:40000000",
        "object_timerange": "[10:0_20:0)",
        "sample_offset": 5.0,
        "sample_count": 25,
        "key_frame_count": 0,
        "init_object_id": "i",
        "get_urls": [{"url": "https://example.com/a", "label": "mine", "presigned": True}],
    }
    (request,) = parse_requests(body)
    assert request == SegmentRequest(
        "a/b",
        TimeRange(10 * SECOND, 11 * SECOND + 1, closed=True),
        ts_offset=-SECOND // 2,
        last_duration=40_000_000,
        object_timerange=TimeRange(10 * SECOND, 20 * SECOND),
        sample_offset=5,
        sample_count=25,
        key_frame_count=0,
        init_object_id="i",
        get_urls=(("https://example.com/a", "mine"),),
    )
    assert type(request.sample_offset) is int
    assert request.timerange.closed
    assert request.object_range == TimeRange(10 * SECOND + SECOND // 2, 11 * SECOND + SECOND // 2 + 1)


def test_a_list_is_read_in_its_order() -> None:
    second = {"object_id": "b", "timerange": "[1:0_2:0)"}
    assert [request.object_id for request in parse_requests([SEGMENT, second, SEGMENT])] == ["a", "b", "a"]


def test_an_empty_list_holds_no_segments() -> None:
    assert parse_requests([]) == []


def test_unknown_properties_are_ignored() -> None:
    assert parse_requests({**SEGMENT, "init_object": 5, "": None, "x": {"y": 1}}) == parse_requests(SEGMENT)


@pytest.mark.parametrize("body", [None, 5, "a", True, 1.5])
def test_a_body_that_is_no_object_or_list_is_refused(body: Any) -> None:
    assert list(faults(body)) == [""]


def test_both_required_properties_are_missed() -> None:
    assert faults({}) == {"object_id": ["required"], "timerange": ["required"]}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("object_id", [None, 5, "", "a" * 1025, "ü" * 513, "a\x00b", ["a"], {}, True]),
        ("init_object_id", [None, 5, "", "a" * 1025, "ü" * 513, ["a"]]),
        ("timerange", [None, 5, "", "_", "()", "x", "(0:0_1:0)", "[0:0_", "[1:0_1:0)", "[2:0_1:0)", ["[0:0_1:0)"]]),
        ("object_timerange", [None, 5, "", "_", "()", "x", "(0:0_1:0)", "[0:0_", "[1:0_1:0)", "[2:0_1:0)"]),
        ("ts_offset", [None, 5, 0, "", "0", "01:0", "1:0:0", "9223372037:0", "_"]),
        ("last_duration", [None, 5, "", "-1:0", "-0:1", "x"]),
        ("sample_offset", [None, "5", True, False, 5.5, -1, 2**63, 1e300, [5]]),
        ("sample_count", [None, "5", True, 5.5, -1, 2**63]),
        ("key_frame_count", [None, "5", True, 5.5, -1, 2**63]),
        ("get_urls", [None, {}, "https://example.com", 5]),
    ],
)
def test_a_property_of_the_wrong_type_or_value_is_named(name: str, values: list[Any]) -> None:
    for value in values:
        assert list(faults({**SEGMENT, name: value})) == [name], value


@pytest.mark.parametrize(
    ("entries", "paths"),
    [
        ([5], ["[0]"]),
        ([{}], ["[0].url", "[0].label"]),
        ([{"url": "https://example.com"}], ["[0].label"]),
        ([{"label": "a"}], ["[0].url"]),
        ([{"label": "a", "url": "x"}], ["[0].url"]),
        ([{"label": "a,b", "url": "https://example.com"}], ["[0].label"]),
        ([{"label": "", "url": "https://example.com"}], ["[0].label"]),
        ([{"label": "a", "url": "https://a/1"}, {"label": "a", "url": "https://a/2"}], ["[1].label"]),
        ([{"label": "a", "url": "https://a"}, None, {"label": 5, "url": None}], ["[1]", "[2].url", "[2].label"]),
    ],
)
def test_faults_inside_get_urls_have_their_own_paths(entries: list[Any], paths: list[str]) -> None:
    assert sorted(faults({**SEGMENT, "get_urls": entries})) == sorted(f"get_urls{path}" for path in paths)


def test_the_range_on_the_objects_timeline_stays_within_64_bits() -> None:
    late = {**SEGMENT, "timerange": "[9223372035:0_9223372036:0)"}
    assert list(faults({**late, "ts_offset": "-1:0"})) == ["ts_offset"]
    assert len(parse_requests({**late, "ts_offset": "1:0"})) == 1
    early = {**SEGMENT, "timerange": "[-9223372036:0_-9223372035:0)"}
    assert list(faults({**early, "ts_offset": "1:0"})) == ["ts_offset"]
    assert len(parse_requests({**early, "ts_offset": "-1:0"})) == 1


def test_an_object_is_not_its_own_initialisation_segment() -> None:
    assert list(faults({**SEGMENT, "init_object_id": "a"})) == ["init_object_id"]


def test_every_fault_of_a_list_is_named() -> None:
    body = [SEGMENT, {"object_id": "b"}, 5, {"object_id": "", "timerange": "_", "get_urls": [{}]}]
    assert set(faults(body)) == {
        "[1].timerange",
        "[2]",
        "[3].object_id",
        "[3].timerange",
        "[3].get_urls[0].url",
        "[3].get_urls[0].label",
    }


def test_a_list_that_is_wrong_throughout_is_not_answered_at_its_own_length() -> None:
    assert len(faults([None] * 10_000)) == 100


def test_a_thousand_segments_take_milliseconds() -> None:
    body = [{"object_id": f"object-{n}", "timerange": f"[{n}:0_{n + 1}:0)"} for n in range(1000)]
    # The generous bound catches another order of magnitude, not a slow machine.
    started = time.perf_counter()
    assert len(parse_requests(body)) == 1000
    assert time.perf_counter() - started < 0.2
