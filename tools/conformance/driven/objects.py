"""Objects: their references, the locations of their bytes, init objects, and instances that clients add."""

from __future__ import annotations

from typing import Any

from tools.conformance.driven.documents import AUDIO, allocate, new_id, put_flow, register
from tools.conformance.driven.listings import BAD_PAGING, items
from tools.conformance.session import Session

_ONE = "/objects/{objectId}"
_INSTANCES = "/objects/{objectId}/instances"
_URL = "https://example.com/media"


def objects(session: Session) -> None:
    """Read an Object, page through the Flows that refer to it, and filter its URLs."""
    first = put_flow(session, tags={"kind": ["a", "b"]})
    second = put_flow(session, AUDIO)
    unregistered, object_id = (allocated["object_id"] for allocated in allocate(session, first["id"], 2))
    session.call("GET", _ONE, {"objectId": unregistered}, expect=404)
    session.call("GET", _ONE, {"objectId": new_id()}, expect=404)
    register(session, first["id"], object_id, "[0:0_10:0)", key_frame_count=2)
    register(session, second["id"], object_id, "[5:0_6:0)")
    names = {"objectId": object_id}
    read = session.call("GET", _ONE, names, expect=200)
    expected = {
        "id": object_id,
        "timerange": "[0:0_10:0)",
        "first_referenced_by_flow": first["id"],
        "key_frame_count": 2,
    }
    session.expect("the object", expected, {name: read.json().get(name) for name in expected}, read)
    flow_ids = {first["id"], second["id"]}
    session.expect("referenced_by_flows", flow_ids, set(read.json()["referenced_by_flows"]), read)
    page = session.call("GET", _ONE, names, query={"limit": "1"}, expect=200)
    page_token = page.headers.get("x-paging-nextkey", "")
    last = session.call("GET", _ONE, names, query={"limit": "1", "page": page_token}, expect=200)
    pages = [flow for exchange in (page, last) for flow in exchange.json().get("referenced_by_flows", [])]
    session.expect("the pages joined are the whole", read.json()["referenced_by_flows"], pages, last)
    for query, flows in (
        ({"flow_tag.kind": "b"}, [first["id"]]),
        ({"flow_tag.kind": "c"}, []),
        ({"flow_tag_exists.kind": "false"}, [second["id"]]),
    ):
        filtered = session.call("GET", _ONE, names, query=query, expect=200)
        session.expect(f"referenced_by_flows by {query}", flows, filtered.json().get("referenced_by_flows"), filtered)
    for query, has_urls in (
        ({"accept_get_urls": ""}, False),
        ({"accept_storage_ids": new_id()}, False),
        ({"presigned": "true", "verbose_storage": "true"}, True),
        ({"storage_backend_tag_exists.never-set-by-anyone": "false"}, True),
        ({"storage_backend_tag.never-set-by-anyone": "a"}, False),
    ):
        filtered = session.call("GET", _ONE, names, query=query, expect=200)
        session.expect(f"get_urls by {query}", has_urls, bool(filtered.json().get("get_urls")), filtered)
    for invalid_query in (
        *BAD_PAGING,
        {"presigned": "perhaps"},
        {"verbose_storage": "perhaps"},
        {"accept_storage_ids": "not-an-id"},
        {"flow_tag_exists.kind": "perhaps"},
    ):
        session.call("GET", _ONE, names, query=invalid_query, expect=400)


def external_objects(session: Session) -> None:
    """Register external Objects, with ids that need encoding."""
    flow = put_flow(session)
    for index, object_id in enumerate((f"a/b/{new_id()}", f"a b&ü=?#%2F {new_id()}", f"{new_id()}/instances")):
        urls = [{"label": "one", "url": f"{_URL}/1"}, {"label": "two", "url": f"{_URL}/2"}]
        register(session, flow["id"], object_id, f"[{index}:0_{index + 1}:0)", get_urls=urls)
        read = session.call("GET", _ONE, {"objectId": object_id}, expect=200)
        session.expect("the object's id", object_id, read.json().get("id"), read)
        labels = {url.get("label") for url in read.json().get("get_urls", [])}
        session.expect("its URLs", {"one", "two"}, labels, read)


def init_objects(session: Session) -> None:
    """Register an initialisation Object and the media Objects that need it."""
    essence = {"sample_rate": 48000, "channels": 2, "init_segments": True}
    flow = put_flow(session, AUDIO, container="audio/mp4", essence_parameters=essence)
    init, first, second, third = (item["object_id"] for item in allocate(session, flow["id"], 4))
    register(session, flow["id"], first, "[0:0_1:0)", init_object_id=init)
    register(session, flow["id"], second, "[1:0_2:0)", init_object_id=init)
    names = {"flowId": flow["id"]}
    segments = items(session, "/flows/{flowId}/segments", names)
    init_ids = [segment.get("init_object", {}).get("object_id") for segment in segments]
    session.expect("init_object of both", [init, init], init_ids)
    media = session.call("GET", _ONE, {"objectId": first}, expect=200)
    session.expect("init_object of an object", init, media.json().get("init_object", {}).get("id"), media)
    read = session.call("GET", _ONE, {"objectId": init}, expect=200)
    session.expect("the init object's Flows", [flow["id"]], read.json().get("referenced_by_flows"), read)
    for invalid_segment in (
        {"object_id": third},
        {"object_id": init, "init_object_id": init},
        {"object_id": third, "init_object_id": first},
        {"object_id": init, "init_object_id": third},
    ):
        body = {**invalid_segment, "timerange": "[2:0_3:0)"}
        session.call("POST", "/flows/{flowId}/segments", names, body=body, expect=400)


def instances(session: Session) -> None:
    """Add and remove instances of an Object; the last one cannot be removed."""
    flow = put_flow(session)
    unregistered, object_id = (allocated["object_id"] for allocated in allocate(session, flow["id"], 2))
    register(session, flow["id"], object_id, "[0:0_1:0)")
    names = {"objectId": object_id}
    stored = session.call("GET", _ONE, names, query={"verbose_storage": "true"}, expect=200)
    storage_id = stored.json()["get_urls"][0].get("storage_id")
    backend_label = stored.json()["get_urls"][0].get("label")
    session.call("POST", _INSTANCES, names, body={"url": _URL, "label": "elsewhere"}, expect=201)
    session.call("POST", _INSTANCES, names, body={"storage_id": storage_id}, expect=201)
    read = session.call("GET", _ONE, names, query={"accept_get_urls": "elsewhere"}, expect=200)
    session.expect("the added URL", [_URL], [url["url"] for url in read.json().get("get_urls", [])], read)
    invalid_bodies: tuple[Any, ...] = (
        {"url": f"{_URL}/2", "label": "elsewhere"},
        {"url": _URL, "label": backend_label},
        {"url": _URL},
        {"label": "no URL"},
        {"url": "not a URL", "label": "other"},
        {"storage_id": new_id()},
        {"storage_id": "not-an-id"},
        {},
        [],
    )
    for invalid_body in invalid_bodies:
        session.call("POST", _INSTANCES, names, body=invalid_body, expect=400)
    session.call("DELETE", _INSTANCES, names, expect=400)
    session.call("DELETE", _INSTANCES, names, query={"storage_id": storage_id}, expect=204)
    remaining = session.call("GET", _ONE, names, expect=200)
    session.expect(
        "the instance left", ["elsewhere"], [url.get("label") for url in remaining.json()["get_urls"]], remaining
    )
    session.call("DELETE", _INSTANCES, names, query={"label": "elsewhere"}, expect=400)
    session.call("POST", _INSTANCES, names, body={"url": f"{_URL}/2", "label": "second"}, expect=201)
    session.call("DELETE", _INSTANCES, names, query={"label": "elsewhere"}, expect=204)
    for unknown_id in (unregistered, new_id()):
        body = {"url": _URL, "label": "elsewhere"}
        session.call("POST", _INSTANCES, {"objectId": unknown_id}, body=body, expect=404)
        session.call("DELETE", _INSTANCES, {"objectId": unknown_id}, query={"label": "elsewhere"}, expect=404)
