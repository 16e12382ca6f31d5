"""Steps that most tests of the API begin with: creating Flows, storage and Segments through the API itself."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from tams.domain.identifiers import new_id

SECOND = "[{0}:0_{1}:0)"


def make_flow(client: FlaskClient, flow_id: str | None = None, source_id: str | None = None, **more: Any) -> str:
    """Create a data Flow with a container, which accepts Segments of any kind; return its id."""
    flow_id = flow_id or new_id()
    document = {
        "id": flow_id,
        "source_id": source_id or new_id(),
        "format": "urn:x-nmos:format:data",
        "codec": "application/octet-stream",
        "container": "application/octet-stream",
        "essence_parameters": {},
        **more,
    }
    answer = client.put(f"/flows/{flow_id}", json=document)
    assert answer.status_code in (201, 204), answer.text
    return flow_id


def source_of(client: FlaskClient, flow_id: str) -> str:
    """Return the id of the Flow's Source."""
    return str(client.get(f"/flows/{flow_id}").json["source_id"])


def allocate(client: FlaskClient, flow_id: str, count: int = 1) -> list[str]:
    """Allocate Objects; return their ids."""
    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": count})
    assert answer.status_code == 201, answer.text
    return [item["object_id"] for item in answer.json["media_objects"]]


def register(client: FlaskClient, flow_id: str, object_id: str, timerange: str, **more: Any) -> None:
    """Register one Segment."""
    answer = client.post(f"/flows/{flow_id}/segments", json={"object_id": object_id, "timerange": timerange, **more})
    assert answer.status_code == 201, answer.text


def record(client: FlaskClient, flow_id: str, seconds: int, start: int = 0) -> list[str]:
    """Register a new Object for each second, from second `start` on; return their ids."""
    object_ids = allocate(client, flow_id, seconds)
    segments = [
        {"object_id": object_id, "timerange": SECOND.format(start + index, start + index + 1)}
        for index, object_id in enumerate(object_ids)
    ]
    answer = client.post(f"/flows/{flow_id}/segments", json=segments)
    assert answer.status_code == 201, answer.text
    return object_ids


def reuse(client: FlaskClient, flow_id: str, object_ids: list[str]) -> None:
    """Register Objects that `record` created from second 0 on in another Flow, at the same times."""
    segments = [
        {"object_id": object_id, "timerange": SECOND.format(index, index + 1)}
        for index, object_id in enumerate(object_ids)
    ]
    answer = client.post(f"/flows/{flow_id}/segments", json=segments)
    assert answer.status_code == 201, answer.text


def timeranges(client: FlaskClient, flow_id: str) -> list[str]:
    """Return the timeranges of the Flow's Segments, in order."""
    return [segment["timerange"] for segment in client.get(f"/flows/{flow_id}/segments?accept_get_urls=").json]


def exists(client: FlaskClient, path: str) -> bool:
    """Return whether GET of the path answers 200; any other status than 404 fails."""
    status = client.get(path).status_code
    assert status in (200, 404)
    return status == 200
