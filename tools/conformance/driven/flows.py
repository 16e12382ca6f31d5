"""Flows: create, replace, read, list and delete them, and send invalid ones."""

from __future__ import annotations

from typing import Any

from tools.conformance.driven.documents import AUDIO, DATA, IMAGE, MULTI, VIDEO, flow, new_id, put_flow, register
from tools.conformance.driven.listings import check_listing, items
from tools.conformance.session import Session

_ONE = "/flows/{flowId}"


def flows(session: Session) -> None:
    """Create, read, replace and delete a Flow of each format."""
    for content_format in (VIDEO, AUDIO, IMAGE, DATA, MULTI):
        document = flow(
            content_format,
            label="A Flow",
            description="One of each format",
            tags={"text": "ü", "list": ["a", "b"]},
            generation=0,
            max_bit_rate=10000,
            status="ingesting",
            unknown_property={"is": "kept"},
        )
        names = {"flowId": document["id"]}
        created = session.call("PUT", _ONE, names, body=document, expect=201)
        read = session.call("GET", _ONE, names, expect=200)
        session.expect("GET returns what PUT returned", created.json(), read.json(), read)
        session.expect("GET returns what was sent", document, {name: read.json().get(name) for name in document}, read)
        session.call("PUT", _ONE, names, body=read.json(), expect=204)
        shorter = {name: value for name, value in document.items() if name not in {"label", "tags"}}
        session.call("PUT", _ONE, names, body=shorter, expect=204)
        replaced = session.call("GET", _ONE, names, expect=200)
        session.expect("a PUT replaces", None, replaced.json().get("label"), replaced)
        session.call("DELETE", _ONE, names, expect=204)
        session.call("GET", _ONE, names, expect=404)
        session.call("DELETE", _ONE, names, expect=404)


def refused_flows(session: Session) -> None:
    """Send invalid Flows and invalid ids."""
    video = flow()
    essence = video["essence_parameters"]
    existing = put_flow(session, AUDIO)
    invalid_changes: tuple[dict[str, Any], ...] = (
        {"id": new_id()},
        {"source_id": None},
        {"source_id": "not-an-id"},
        {"source_id": existing["source_id"]},
        {"format": "video"},
        {"codec": 5},
        {"codec": None},
        {"label": 5},
        {"tags": {"a": 5}},
        {"tags": []},
        {"generation": -1},
        {"status": "lost"},
        {"max_bit_rate": "fast"},
        {"essence_parameters": None},
        {"essence_parameters": {**essence, "frame_width": 0}},
        {"essence_parameters": {**essence, "frame_height": "1080"}},
        {"essence_parameters": {**essence, "frame_rate": {"denominator": 1}}},
        {"essence_parameters": {**essence, "vfr": True}},
        {"essence_parameters": {**essence, "interlace_mode": "both"}},
        {"essence_parameters": {**essence, "unknown": 1}},
        {"essence_parameters": {name: value for name, value in essence.items() if name != "frame_rate"}},
        {"segment_duration": {"denominator": 1}},
        {"flow_collection": [{"id": new_id()}]},
        {"profile_id": new_id()},
    )
    for change in invalid_changes:
        body = {name: value for name, value in {**video, **change}.items() if value is not None}
        session.call("PUT", _ONE, {"flowId": video["id"]}, body=body, expect=400)
    session.call("PUT", _ONE, {"flowId": video["id"]}, body=[video], expect=400)
    session.call("GET", _ONE, {"flowId": video["id"]}, expect=404)
    for invalid_id in ("not-an-id", video["id"].upper(), f"{video['id']}/x"):
        session.call("PUT", _ONE, {"flowId": invalid_id}, body={**video, "id": invalid_id}, expect=404)
        session.call("GET", _ONE, {"flowId": invalid_id}, expect=404)
        session.call("DELETE", _ONE, {"flowId": invalid_id}, expect=404)


def listed_flows(session: Session) -> None:
    """Use every filter and sort key of GET /flows, and the timerange of one Flow."""
    label = f"conformance {new_id()}"
    video = put_flow(session, VIDEO, label=label, tags={"kind": ["a", "b"]}, status="closed_complete")
    audio = put_flow(session, AUDIO, label=label)
    init = {**audio["essence_parameters"], "init_segments": True}
    with_init = put_flow(session, AUDIO, label=label, essence_parameters=init)
    multi = put_flow(session, MULTI, label=label, flow_collection=[{"id": video["id"]}, {"id": audio["id"]}])
    url = [{"label": "elsewhere", "url": "https://example.com/media"}]
    register(session, video["id"], new_id(), "[0:0_10:0)", get_urls=url)
    register(session, video["id"], new_id(), "[20:0_30:0)", get_urls=url)
    own_flows = {"label": label}
    for sort in ("created", "metadata_updated", "label"):
        check_listing(session, "/flows", query={**own_flows, "sort_by": sort})
    all_ids = {document["id"] for document in (video, audio, with_init, multi)}
    for query, expected_ids in (
        ({"source_id": video["source_id"]}, {video["id"]}),
        ({"format": MULTI}, {multi["id"]}),
        ({"codec": "audio/aac"}, {audio["id"], with_init["id"]}),
        ({"status": "closed_complete"}, {video["id"]}),
        ({"tag.kind": "b,c"}, {video["id"]}),
        ({"tag_exists.kind": "FALSE"}, all_ids - {video["id"]}),
        ({"frame_width": "1920", "frame_height": "1080"}, {video["id"]}),
        ({"frame_width": "1"}, set()),
        ({"init_segments": "true"}, {with_init["id"]}),
        ({"init_segments": "false"}, all_ids - {with_init["id"]}),
        ({"collected_by_ids": multi["id"]}, {video["id"], audio["id"]}),
        ({"collected_by_ids": ""}, {multi["id"], with_init["id"]}),
        ({"profile_id": new_id()}, set()),
        ({"timerange": "_"}, all_ids),
        ({"timerange": "[5:0_6:0)"}, {video["id"]}),
        ({"timerange": "[10:0_20:0)"}, set()),
        ({"timerange": "()"}, all_ids - {video["id"]}),
    ):
        ids = {document["id"] for document in items(session, "/flows", query={**own_flows, **query})}
        session.expect(f"/flows filtered by {query}", expected_ids, ids)
    for invalid_query in (
        {"source_id": "not-an-id"},
        {"format": "video"},
        {"codec": "h264"},
        {"status": "lost"},
        {"timerange": "yesterday"},
        {"sort_by": "size"},
        {"frame_width": "wide"},
        {"init_segments": "perhaps"},
        {"collected_by_ids": "not-an-id"},
        {"profile_id": "not-an-id"},
        {"reverse_order": "perhaps"},
        {"tag_exists.kind": "perhaps"},
    ):
        session.call("GET", "/flows", query=invalid_query, expect=400)
    _timeranges(session, video["id"])


def _timeranges(session: Session, flow_id: str) -> None:
    """Read a Flow with Segments at [0:0_10:0) and [20:0_30:0) with `include_timerange` and `timerange`."""
    names = {"flowId": flow_id}
    for query, expected in (
        ({}, None),
        ({"include_timerange": "true"}, "[0:0_30:0)"),
        ({"include_timerange": "true", "timerange": "[5:0_15:0)"}, "[0:0_10:0)"),
    ):
        read = session.call("GET", _ONE, names, query=query, expect=200)
        session.expect("the Flow's timerange", expected, read.json().get("timerange"), read)
    for invalid_query in ({"include_timerange": "perhaps"}, {"include_timerange": "true", "timerange": "[1_2)"}):
        session.call("GET", _ONE, names, query=invalid_query, expect=400)
