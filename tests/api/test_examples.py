"""Requests as existing clients send them are accepted, and the response of GET for a Flow can be PUT anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support import flow_documents
from tests.support.api_steps import allocate

HD = {"frame_width": 1920, "frame_height": 1080, "bit_depth": 10, "colorspace": "BT709", "component_type": "YCbCr"}
FLOWS: dict[str, dict[str, Any]] = {
    "HEVC in fragmented MP4": flow_documents.video(
        codec="video/h265",
        container="video/iso.segment",
        segment_duration={"numerator": 48, "denominator": 25},
        essence_parameters={**HD, "frame_rate": {"numerator": 25}, "init_segments": True},
        tags={"quality": "contribution", "genres": ["news", "weather"]},
    ),
    "ten bit planar": flow_documents.video(
        codec="video/raw",
        container="video/quicktime",
        essence_parameters={
            **HD,
            "frame_rate": {"numerator": 30000, "denominator": 1001},
            "horiz_chroma_subs": 2,
            "vert_chroma_subs": 1,
            "unc_parameters": {"unc_type": "planar"},
        },
    ),
    "variable frame rate": flow_documents.video(essence_parameters={**HD, "vfr": True}, generation=3),
    "PCM in WAV": flow_documents.audio(
        codec="audio/x-raw-int",
        container="audio/wav",
        essence_parameters={
            "sample_rate": 96000,
            "channels": 1,
            "bit_depth": 24,
            "unc_parameters": {"unc_type": "interleaved"},
        },
    ),
    "AAC without a container": flow_documents.audio(container=None, avg_bit_rate=128, max_bit_rate=160),
    "a still": flow_documents.image(container="image/jpeg", status="closed_complete"),
    "subtitles": flow_documents.data(
        codec="application/ttml+xml",
        container="application/ttml+xml",
        essence_parameters={"data_type": "urn:x-tams:data:subtitle"},
    ),
}
READ_ONLY = {
    "created": "2018-03-06T09:10:22.123456",
    "metadata_updated": 5,
    "segments_updated": "never",
    "created_by": "someone",
    "timerange": "[0:0_1:0)",
    "collected_by": [new_id()],
}


@pytest.fixture(params=FLOWS)
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return a Flow of the table with new ids."""
    flow = {**FLOWS[request.param], "id": new_id(), "source_id": new_id()}
    return {name: value for name, value in flow.items() if value is not None}


def test_a_flow_is_accepted_and_shown_as_it_was_sent(client: FlaskClient, document: dict[str, Any]) -> None:
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status_code == 201, answer.text
    flow = flow_documents.get(client, document["id"])
    assert {name: flow[name] for name in document} == document


def test_a_flow_as_get_shows_it_can_be_put(client: FlaskClient, document: dict[str, Any]) -> None:
    flow_documents.put(client, document)
    flow = flow_documents.get(client, document["id"])
    assert client.put(f"/flows/{document['id']}", json={**flow, **READ_ONLY}).status_code == 204
    elsewhere = {**flow, **READ_ONLY, "id": new_id(), "source_id": new_id()}
    assert client.put(f"/flows/{elsewhere['id']}", json=elsewhere).status_code == 201


def test_a_collection_with_roles_and_container_mappings(client: FlaskClient) -> None:
    members = [flow_documents.put(client, flow_documents.audio()) for _ in range(2)]
    collector = flow_documents.multi(
        {"id": members[0], "role": "commentary", "container_mapping": {"mp2ts_container": {"pid": 257}}},
        {"id": members[1], "container_mapping": {"track_index": 1, "audio_track": {"channel_numbers": [0, 1]}}},
    )
    flow_documents.put(client, collector)
    assert flow_documents.get(client, collector["id"])["flow_collection"] == collector["flow_collection"]


REQUESTS: list[tuple[str, str, Any, int]] = [
    ("POST", "/service", {"name": "Studio 1", "description": "Everything that Studio 1 records"}, 200),
    ("PUT", "/flows/{flow}/tags/quality", "proxy", 204),
    ("PUT", "/flows/{flow}/tags/genres", ["news", "weather"], 204),
    ("PUT", "/flows/{flow}/label", "Studio 1", 204),
    ("PUT", "/flows/{flow}/max_bit_rate", 5000, 204),
    ("PUT", "/flows/{flow}/read_only", True, 204),
    ("PUT", "/sources/{source}/description", "Everything that Studio 1 records", 204),
    ("POST", "/flows/{flow}/storage", {"limit": 50}, 201),
    ("POST", "/flows/{flow}/storage", {"object_ids": ["studio/1/first", "studio/1/second"]}, 201),
    ("POST", "/flows/{flow}/segments", {"object_id": "{object}", "timerange": "[20:0_21:0)"}, 201),
    ("POST", "/flows/{flow}/segments", [{"object_id": "{object}", "timerange": "[-1:0_-0:500000000)"}], 201),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REQUESTS)
def test_a_request_is_accepted(client: FlaskClient, method: str, path: str, body: Any, status: int) -> None:
    flow = flow_documents.video()
    flow_documents.put(client, flow)
    (object_id,) = allocate(client, flow["id"])
    body = json.loads(json.dumps(body).replace("{object}", object_id))
    address = path.format(flow=flow["id"], source=flow["source_id"])
    answer = client.open(address, method=method, json=body)
    assert answer.status_code == status, answer.text
