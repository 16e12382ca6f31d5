"""The document's own examples: every request is sent, and what GET shows of Flows, Profiles and Segments is stored.

Each example gets a store of its own by giving every id in it a new one, throughout. What it refers to (Flows that it
collects, a Profile, objects, a storage backend) is made first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tools.conformance.document import ApiDocument, Example, Operation
from tools.conformance.driven.documents import AUDIO, VIDEO, flow, new_id, profile, put_flow
from tools.conformance.exchange import Exchange
from tools.conformance.session import Session

_FLOW = "/flows/{flowId}"
_SEGMENTS = "/flows/{flowId}/segments"
_STORAGE = "/flows/{flowId}/storage"
_PROFILE = "/service/profiles/{profileId}"
_WEBHOOKS = "/service/webhooks"
_WEBHOOK = "/service/webhooks/{webhookId}"
_INSTANCES = "/objects/{objectId}/instances"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def replay(session: Session) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each example's name, and what replays it."""
    for example in (*session.document.request_examples(), *_readable(session.document)):
        yield example.name, partial(_replay, session, example)


def _readable(document: ApiDocument) -> Iterator[Example]:
    """What GET shows of things that clients write, one by one where it shows a list."""
    shown = {
        "GET /service",
        "GET /flows",
        f"GET {_FLOW}",
        f"PUT {_FLOW}",
        "GET /service/profiles",
        f"GET {_PROFILE}",
    }
    shown |= {f"POST {_PROFILE}", f"GET {_SEGMENTS}"}
    for example in document.answer_examples():
        if example.operation.label in shown:
            is_listing = example.operation.label in {"GET /flows", "GET /service/profiles"}
            for value in example.value if is_listing else [example.value]:
                yield Example(example.operation, example.status, example.file, value)


def _replay(session: Session, example: Example) -> None:
    value = _with_new_ids(example.value)
    label = example.operation.label
    if label == "GET /service":
        _compare_timeouts(session, example)
    elif label.endswith((" /flows", f" {_FLOW}")):
        _put_flow(session, example, value)
    elif label.endswith((" /service/profiles", f" {_PROFILE}")):
        _send(session, example, "POST", _PROFILE, {"profileId": value["id"]}, value, 201)
    elif example.operation.path in (_WEBHOOKS, _WEBHOOK):
        _webhook(session, example, value)
    elif label == f"GET {_SEGMENTS}":
        _register(session, example, value)
    elif label == f"POST {_INSTANCES}":
        _add_instance(session, example, value)
    else:
        _request(session, example, value)


def _request(session: Session, example: Example, value: Any) -> None:
    """A request to the service, or to a Flow or Source that the example does not name."""
    operation = example.operation
    document = put_flow(session, AUDIO)
    for member in value if operation.path.endswith("/flow_collection") else []:
        put_flow(session, VIDEO, id=member["id"])
    if operation.label == f"POST {_SEGMENTS}":
        _allocate(session, document["id"], [value["object_id"]])
    names = {
        "flowId": document["id"],
        "sourceId": document["source_id"],
        "name": "an example",
    }
    names = {name: of for name, of in names.items() if f"{{{name}}}" in operation.path}
    _send(session, example, operation.method, operation.path, names, value, _success(operation))


def _put_flow(session: Session, example: Example, value: dict[str, Any]) -> None:
    for member in value.get("flow_collection", []):
        if member["id"] != value["id"]:
            put_flow(session, AUDIO, id=member["id"])
    if "profile_id" in value:
        needed = {**profile(AUDIO), "id": value["profile_id"]}
        session.call("POST", _PROFILE, {"profileId": needed["id"]}, body=needed, expect=201)
    _send(session, example, "PUT", _FLOW, {"flowId": value["id"]}, value, 201)


def _register(session: Session, example: Example, value: list[dict[str, Any]]) -> None:
    """Segments as GET shows them: objects of the store, or external ones where their URLs have labels."""
    with_init = any("init_object" in segment for segment in value)
    document = flow(VIDEO)
    document["essence_parameters"]["init_segments"] = with_init
    session.call("PUT", _FLOW, {"flowId": document["id"]}, body=document, expect=201)
    external = all("label" in url for segment in value for url in segment["get_urls"])
    segments = []
    for segment in value:
        kept = {name: of for name, of in segment.items() if name != "init_object" and (external or name != "get_urls")}
        if with_init:
            kept["init_object_id"] = segment["init_object"]["object_id"]
        segments.append(kept)
    if not external:
        ids = [segment[name] for segment in segments for name in ("object_id", "init_object_id") if name in segment]
        _allocate(session, document["id"], list(dict.fromkeys(ids)))
    answer = _send(session, example, "POST", _SEGMENTS, {"flowId": document["id"]}, segments, 201)
    if answer.status == 200:
        failed = [segment["timerange"] for segment in answer.json()["failed_segments"]]
        refused = [segment["timerange"] for segment in value[1:]]
        session.expect("the Segments that contradict the text are refused", refused, failed, answer)


def _add_instance(session: Session, example: Example, value: dict[str, Any]) -> None:
    """Of an object of the store, and where the example names a storage backend, on one that the service has."""
    document = put_flow(session, AUDIO)
    object_id = new_id()
    _allocate(session, document["id"], [object_id])
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}
    session.call("POST", _SEGMENTS, {"flowId": document["id"]}, body=segment, expect=201)
    if "storage_id" in value:
        backends = session.call("GET", "/service/storage-backends", expect=200).json()
        value = {**value, "storage_id": backends[0]["id"]}
    _send(session, example, "POST", _INSTANCES, {"objectId": object_id}, value, 201)


def _webhook(session: Session, example: Example, value: dict[str, Any]) -> None:
    """One that is registered, or changed after it was registered: the store gives it its id."""
    names = {}
    if example.operation.method == "PUT":
        new = {"url": value["url"], "events": []}
        names["webhookId"] = session.call("POST", _WEBHOOKS, body=new, expect=201).json()["id"]
        value = {**value, "id": names["webhookId"]}
    answer = _send(session, example, example.operation.method, example.operation.path, names, value, 201)
    # Nothing is to be sent to the example's receiver.
    session.call("DELETE", _WEBHOOK, {"webhookId": answer.json()["id"]}, expect=204)


def _compare_timeouts(session: Session, example: Example) -> None:
    """Nothing can be sent: see that the example still contradicts the text."""
    url, stored = (
        int(example.value[name].partition(":")[0]) for name in ("min_presigned_url_timeout", "min_object_timeout")
    )
    session.expect(f"{example.name} contradicts the text", True, url > stored)


def _send(
    session: Session,
    example: Example,
    method: str,
    path: str,
    names: dict[str, str],
    value: Any,
    success: int,
) -> Exchange:
    """Send an example; an excepted one has to be refused, as its reason says."""
    expect = _REFUSED_WITH.get(example.name, success)
    return session.call(method, path, names, body=value, expect=expect)


_REFUSED_WITH = {
    # The examples of allowances.EXAMPLES that can be sent, with the status that refuses them.
    "flow-put-multi.json": 400,
    "flow-get-200-multi.json": 400,
    "flow-segments-get-200-object-timerange.json": 200,
}


def _success(operation: Operation) -> int:
    return next(status for status in (201, 204, 200) if status in operation.answers)


def _allocate(session: Session, flow_id: str, object_ids: list[str]) -> None:
    session.call("POST", _STORAGE, {"flowId": flow_id}, body={"object_ids": object_ids}, expect=201)


def _with_new_ids(value: Any) -> Any:
    new: dict[str, str] = {}
    return json.loads(_UUID.sub(lambda match: new.setdefault(match[0], new_id()), json.dumps(value)))
