"""The document's own examples: every request is sent, and Flows, Profiles and Segments of GET responses are stored.

Every id in an example is replaced by a new one, so that examples do not interfere. The resources that it refers to
(Flows that it collects, a Profile, Objects, a storage backend) are created first.
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
    """Yield each example's name, and a function that replays it."""
    for example in (*session.document.request_examples(), *_writable_responses(session.document)):
        yield example.name, partial(_replay, session, example)


def _writable_responses(document: ApiDocument) -> Iterator[Example]:
    """Yield the examples of GET responses whose content clients can write; lists are split into items."""
    labels = {
        "GET /service",
        "GET /flows",
        f"GET {_FLOW}",
        f"PUT {_FLOW}",
        "GET /service/profiles",
        f"GET {_PROFILE}",
    }
    labels |= {f"POST {_PROFILE}", f"GET {_SEGMENTS}"}
    for example in document.response_examples():
        if example.operation.label in labels:
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
        _send(session, example, "POST", _PROFILE, {"profileId": value["id"]}, value, success=201)
    elif example.operation.path in (_WEBHOOKS, _WEBHOOK):
        _webhook(session, example, value)
    elif label == f"GET {_SEGMENTS}":
        _register(session, example, value)
    elif label == f"POST {_INSTANCES}":
        _add_instance(session, example, value)
    else:
        _request(session, example, value)


def _request(session: Session, example: Example, value: Any) -> None:
    """Send a request to the service, or to a Flow or Source that the example does not name."""
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
    names = {name: value for name, value in names.items() if f"{{{name}}}" in operation.path}
    _send(session, example, operation.method, operation.path, names, value, success=_success(operation))


def _put_flow(session: Session, example: Example, value: dict[str, Any]) -> None:
    for member in value.get("flow_collection", []):
        if member["id"] != value["id"]:
            put_flow(session, AUDIO, id=member["id"])
    if "profile_id" in value:
        required_profile = {**profile(AUDIO), "id": value["profile_id"]}
        session.call("POST", _PROFILE, {"profileId": required_profile["id"]}, body=required_profile, expect=201)
    _send(session, example, "PUT", _FLOW, {"flowId": value["id"]}, value, success=201)


def _register(session: Session, example: Example, value: list[dict[str, Any]]) -> None:
    """Register the Segments of a GET response: of stored Objects, or of external ones if all URLs have labels."""
    with_init = any("init_object" in segment for segment in value)
    document = flow(VIDEO)
    document["essence_parameters"]["init_segments"] = with_init
    session.call("PUT", _FLOW, {"flowId": document["id"]}, body=document, expect=201)
    external = all("label" in url for segment in value for url in segment["get_urls"])
    segments = []
    for segment in value:
        removed = {"init_object"} if external else {"init_object", "get_urls"}
        request = {name: value for name, value in segment.items() if name not in removed}
        if with_init:
            request["init_object_id"] = segment["init_object"]["object_id"]
        segments.append(request)
    if not external:
        ids = [segment[name] for segment in segments for name in ("object_id", "init_object_id") if name in segment]
        _allocate(session, document["id"], list(dict.fromkeys(ids)))
    response = _send(session, example, "POST", _SEGMENTS, {"flowId": document["id"]}, segments, success=201)
    if response.status == 200:
        failed = [segment["timerange"] for segment in response.json()["failed_segments"]]
        expected = [segment["timerange"] for segment in value[1:]]
        session.expect("the Segments that contradict the text are refused", expected, failed, response)


def _add_instance(session: Session, example: Example, value: dict[str, Any]) -> None:
    """Add an instance to an Object; a storage backend in the example is replaced by one of the service."""
    document = put_flow(session, AUDIO)
    object_id = new_id()
    _allocate(session, document["id"], [object_id])
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}
    session.call("POST", _SEGMENTS, {"flowId": document["id"]}, body=segment, expect=201)
    if "storage_id" in value:
        backends = session.call("GET", "/service/storage-backends", expect=200).json()
        value = {**value, "storage_id": backends[0]["id"]}
    _send(session, example, "POST", _INSTANCES, {"objectId": object_id}, value, success=201)


def _webhook(session: Session, example: Example, value: dict[str, Any]) -> None:
    """Register a webhook, or change one that was registered first, because the store assigns its id."""
    names = {}
    if example.operation.method == "PUT":
        registration = {"url": value["url"], "events": []}
        names["webhookId"] = session.call("POST", _WEBHOOKS, body=registration, expect=201).json()["id"]
        value = {**value, "id": names["webhookId"]}
    response = _send(session, example, example.operation.method, example.operation.path, names, value, success=201)
    # Nothing must be sent to the receiver in the example.
    session.call("DELETE", _WEBHOOK, {"webhookId": response.json()["id"]}, expect=204)


def _compare_timeouts(session: Session, example: Example) -> None:
    """Verify that the example, which cannot be sent, still contradicts the text."""
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
    *,
    success: int,
) -> Exchange:
    """Send an example. An example in `allowances.EXAMPLES` must be refused, as its reason says."""
    expect = _REFUSED_WITH.get(example.name, success)
    return session.call(method, path, names, body=value, expect=expect)


_REFUSED_WITH = {
    # The examples of allowances.EXAMPLES that can be sent, with the status that refuses them.
    "flow-put-multi.json": 400,
    "flow-get-200-multi.json": 400,
    "flow-segments-get-200-object-timerange.json": 200,
}


def _success(operation: Operation) -> int:
    return next(status for status in (201, 204, 200) if status in operation.responses)


def _allocate(session: Session, flow_id: str, object_ids: list[str]) -> None:
    session.call("POST", _STORAGE, {"flowId": flow_id}, body={"object_ids": object_ids}, expect=201)


def _with_new_ids(value: Any) -> Any:
    new_ids: dict[str, str] = {}
    return json.loads(_UUID.sub(lambda match: new_ids.setdefault(match[0], new_id()), json.dumps(value)))
