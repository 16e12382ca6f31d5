"""Segments: allocate storage, upload bytes, register Segments, read them by time, and delete them."""

from __future__ import annotations

from typing import Any

from tools.conformance.driven.documents import AUDIO, MULTI, allocate, flow, new_id, put_flow
from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session

_SEGMENTS = "/flows/{flowId}/segments"
_STORAGE = "/flows/{flowId}/storage"
_MEDIA = b"the bytes of an object, " * 1000


def storage(session: Session) -> None:
    """Allocate storage for a Flow's Objects, by number and by id."""
    document = put_flow(session)
    names = {"flowId": document["id"]}
    backend = items(session, "/service/storage-backends")[0]
    object_ids = [new_id(), f"with/slash and ü {new_id()}"]
    exchange = session.call("POST", _STORAGE, names, body={"object_ids": object_ids}, expect=201)
    session.expect(
        "the requested ids", object_ids, [item["object_id"] for item in exchange.json()["media_objects"]], exchange
    )
    allocate(session, document["id"], 3, storage_id=backend["id"])
    session.call("POST", _STORAGE, names, body={"limit": 1, "content_type": "video/mp4"}, expect=201)
    session.call("POST", _STORAGE, names, body={"limit": 1, "presigned": False}, expect=201)
    session.call("POST", _STORAGE, names, expect=201)
    session.call("POST", _STORAGE, names, body={}, expect=201)
    invalid_bodies: tuple[Any, ...] = (
        {"limit": 1, "object_ids": [new_id()]},
        {"limit": 0},
        {"limit": "1"},
        {"object_ids": object_ids},
        {"object_ids": ["twice", "twice"]},
        {"object_ids": "one"},
        {"storage_id": new_id()},
        {"storage_id": "not-an-id"},
        {"content_type": "video"},
        {"presigned": "yes"},
        [],
    )
    for invalid_body in invalid_bodies:
        session.call("POST", _STORAGE, names, body=invalid_body, expect=400)
    without_container = put_flow(session, container=None)
    session.call("POST", _STORAGE, {"flowId": without_container["id"]}, body={"limit": 1}, expect=400)
    for unknown_id in (new_id(), "not-an-id"):
        session.call("POST", _STORAGE, {"flowId": unknown_id}, body={"limit": 1}, expect=404)


def segments(session: Session) -> None:
    """Upload, register one by one and in lists, read with every filter, delete by time and by Object."""
    document = put_flow(session)
    names = {"flowId": document["id"]}
    first, second, third, fourth = allocate(session, document["id"], 4)
    for allocation in (first, second, third):
        put = allocation["put_url"]
        session.media("PUT", put["url"], content=_MEDIA, content_type=put.get("content-type"))
    alone = {
        "object_id": first["object_id"],
        "timerange": "[0:0_1:0)",
        "last_duration": "0:40000000",
        "key_frame_count": 1,
    }
    session.call("POST", _SEGMENTS, names, body=alone, expect=201)
    several = [
        {"object_id": second["object_id"], "timerange": "[1:0_2:0)"},
        {
            "object_id": third["object_id"],
            "timerange": "[2:0]",
            "object_timerange": "[12:0_13:0)",
            "ts_offset": "-10:0",
        },
    ]
    session.call("POST", _SEGMENTS, names, body=several, expect=201)
    session.call("POST", _SEGMENTS, names, body=[], expect=201)
    overlapping = {"object_id": fourth["object_id"], "timerange": "[1:500000000_3:0)"}
    session.call("POST", _SEGMENTS, names, body=overlapping, expect=400)
    fitting = {"object_id": fourth["object_id"], "timerange": "[3:0_4:0)"}
    partly = session.call("POST", _SEGMENTS, names, body=[overlapping, fitting], expect=200)
    failed = partly.json()["failed_segments"] if partly.status == 200 else []
    session.expect(
        "the overlapping one failed", [overlapping["timerange"]], [segment["timerange"] for segment in failed], partly
    )
    all_segments = items(session, _SEGMENTS, names)
    timeranges = ["[0:0_1:0)", "[1:0_2:0)", "[2:0]", "[3:0_4:0)"]
    session.expect("all Segments in their order", timeranges, [segment["timerange"] for segment in all_segments])
    page = session.call("GET", _SEGMENTS, names, query={"limit": "2"}, expect=200)
    session.expect("the page's timerange", "[0:0_2:0)", page.headers.get("x-paging-timerange"), page)
    fetched = session.media("GET", all_segments[0]["get_urls"][0]["url"])
    session.expect("the bytes that were put", True, fetched.body == _MEDIA)
    check_listing(session, _SEGMENTS, names, {"accept_get_urls": ""})
    _filters(session, names, second["object_id"], all_segments)
    _refused(session, names, first["object_id"])
    _deleted(session, names, third["object_id"])


def _filters(session: Session, names: dict[str, str], object_id: str, all_segments: list[dict[str, Any]]) -> None:
    backend = items(session, "/service/storage-backends")[0]
    label = all_segments[0]["get_urls"][0]["label"]
    for query, expected in (
        ({"timerange": "[1:0_2:0)"}, ["[1:0_2:0)"]),
        ({"timerange": "2:0"}, ["[2:0]"]),
        ({"timerange": "(1:500000000_2:0)"}, ["[1:0_2:0)"]),
        ({"timerange": "_1:0)"}, ["[0:0_1:0)"]),
        ({"timerange": "()"}, []),
        ({"timerange": "_", "reverse_order": "true"}, [segment["timerange"] for segment in all_segments[::-1]]),
        ({"object_id": object_id}, ["[1:0_2:0)"]),
        ({"object_id": new_id()}, []),
    ):
        timeranges = [segment["timerange"] for segment in items(session, _SEGMENTS, names, query)]
        session.expect(f"Segments filtered by {query}", expected, timeranges)
    for query, has_urls in (
        ({"accept_get_urls": ""}, False),
        ({"accept_get_urls": label}, True),
        ({"accept_get_urls": new_id()}, False),
        ({"accept_storage_ids": backend["id"], "verbose_storage": "true"}, True),
        ({"accept_storage_ids": new_id()}, False),
        ({"accept_storage_ids": ""}, True),
        ({"presigned": "true"}, True),
        ({"storage_backend_tag_exists.never-set-by-anyone": "true"}, False),
        ({"storage_backend_tag_exists.never-set-by-anyone": "false"}, True),
        ({"storage_backend_tag.never-set-by-anyone": "a"}, False),
    ):
        urls = [bool(segment.get("get_urls")) for segment in items(session, _SEGMENTS, names, query)]
        session.expect(f"get_urls filtered by {query}", [has_urls] * len(all_segments), urls)
    with_timeranges = items(session, _SEGMENTS, names, {"include_object_timerange": "true"})
    ranges = ["[0:0_1:0)", "[1:0_2:0)", "[12:0_13:0)", "[3:0_4:0)"]
    session.expect("object_timerange", ranges, [segment.get("object_timerange") for segment in with_timeranges])
    for invalid_query in (
        {"timerange": "yesterday"},
        {"presigned": "perhaps"},
        {"verbose_storage": "perhaps"},
        {"include_object_timerange": "perhaps"},
        {"reverse_order": "perhaps"},
        {"accept_storage_ids": "not-an-id"},
        {"storage_backend_tag_exists.kind": "perhaps"},
    ):
        session.call("GET", _SEGMENTS, names, query=invalid_query, expect=400)
    session.expect("an unknown Flow has none", [], items(session, _SEGMENTS, {"flowId": new_id()}))
    session.call("GET", _SEGMENTS, {"flowId": "not-an-id"}, expect=404)


def _refused(session: Session, names: dict[str, str], object_id: str) -> None:
    valid = {"object_id": object_id, "timerange": "[100:0_101:0)", "ts_offset": "100:0"}
    for change in (
        {"object_id": 5},
        {"object_id": None},
        {"object_id": new_id()},
        {"timerange": None},
        {"timerange": "yesterday"},
        {"timerange": "_"},
        {"timerange": "[100:0_"},
        {"timerange": "()"},
        {"timerange": "(100:0_101:0)"},
        {"timerange": "[101:0_100:0)"},
        {"timerange": "[0:00_1:0)"},
        {"ts_offset": "1"},
        {"ts_offset": "0:0"},
        {"last_duration": 5},
        {"object_timerange": "[0:0_50:0)"},
        {"key_frame_count": "one"},
        {"key_frame_count": 7},
        {"sample_offset": "one"},
        {"init_object_id": new_id()},
        {"get_urls": [{"url": "https://example.com/media"}]},
        {"get_urls": "https://example.com/media"},
    ):
        body = {name: value for name, value in {**valid, **change}.items() if value is not None}
        session.call("POST", _SEGMENTS, names, body=body, expect=400)
    session.call("POST", _SEGMENTS, names, body=[valid, {"object_id": object_id}], expect=400)
    session.call("POST", _SEGMENTS, names, body="a segment", expect=400)
    session.call("POST", _SEGMENTS, names, content=b"[", headers={"Content-Type": "application/json"}, expect=400)
    without_container = put_flow(session, container=None)
    session.call("POST", _SEGMENTS, {"flowId": without_container["id"]}, body=valid, expect=400)
    for unknown_id in (new_id(), "not-an-id"):
        session.call("POST", _SEGMENTS, {"flowId": unknown_id}, body=valid, expect=404)
    session.call("POST", _SEGMENTS, names, body=valid, expect=201)
    session.call("DELETE", _SEGMENTS, names, query={"timerange": "[100:0_101:0)"}, expect=204)


def _deleted(session: Session, names: dict[str, str], object_id: str) -> None:
    for query, expected in (
        ({"timerange": "[0:500000000_1:500000000)"}, ["[0:0_1:0)", "[1:0_2:0)", "[2:0]", "[3:0_4:0)"]),
        ({"timerange": ""}, ["[0:0_1:0)", "[1:0_2:0)", "[2:0]", "[3:0_4:0)"]),
        ({"timerange": "[0:0_1:0)"}, ["[1:0_2:0)", "[2:0]", "[3:0_4:0)"]),
        ({"object_id": object_id, "timerange": "[2:0_10:0)"}, ["[1:0_2:0)", "[3:0_4:0)"]),
        ({"object_id": object_id}, ["[1:0_2:0)", "[3:0_4:0)"]),
    ):
        session.call("DELETE", _SEGMENTS, names, query=query, expect=204)
        timeranges = [segment["timerange"] for segment in items(session, _SEGMENTS, names)]
        session.expect(f"left after DELETE of {query}", expected, timeranges)
    session.call("DELETE", _SEGMENTS, names, query={"timerange": "yesterday"}, expect=400)
    for unknown_id in (new_id(), "not-an-id"):
        session.call("DELETE", _SEGMENTS, {"flowId": unknown_id}, expect=404)
    session.call("DELETE", _SEGMENTS, names, expect=204)
    session.expect("nothing is left", [], items(session, _SEGMENTS, names))


def reused_objects(session: Session) -> None:
    """Use an Object of a multi Flow, which has Segments of its own, in another Flow, partly and shifted."""
    first = put_flow(session, MULTI, flow_collection=[{"id": put_flow(session, AUDIO)["id"]}])
    (allocation,) = allocate(session, first["id"])
    body = {"object_id": allocation["object_id"], "timerange": "[0:0_10:0)"}
    other_flow = flow()
    session.call("PUT", "/flows/{flowId}", {"flowId": other_flow["id"]}, body=other_flow, expect=201)
    names = {"flowId": other_flow["id"]}
    session.call("POST", _SEGMENTS, names, body=body, expect=400)
    session.call("POST", _SEGMENTS, {"flowId": first["id"]}, body=body, expect=201)
    partly = {"object_id": allocation["object_id"], "timerange": "[102:0_105:0)", "ts_offset": "100:0"}
    session.call("POST", _SEGMENTS, names, body=partly, expect=201)
    (read,) = items(session, _SEGMENTS, names, {"include_object_timerange": "true"})
    expected = {**partly, "object_timerange": "[0:0_10:0)"}
    session.expect("the reused part", expected, {name: read.get(name) for name in expected})
