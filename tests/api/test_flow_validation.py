"""Flows that `PUT /flows/{flowId}` refuses, and the fields that it names; nothing is stored."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.flow_documents import Document, audio, data, image, multi, put, video

ABSENT = object()
KINDS = {"video": video, "audio": audio, "image": image, "data": data, "multi": multi}


def _with(document: Document, path: str, value: Any) -> Document:
    """Return the document with the value at the path (`a.b`), or without that property."""
    changed = copy.deepcopy(document)
    *above, name = path.split(".")
    holder = changed
    for step in above:
        holder = holder.setdefault(step, {})
    if value is ABSENT:
        holder.pop(name, None)
    else:
        holder[name] = value
    return changed


# (kind of Flow, the change, the paths at fault)
BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    # properties of every Flow
    ("data", {"id": ABSENT}, ["id"]),
    ("data", {"source_id": ABSENT}, ["source_id"]),
    ("data", {"source_id": "x"}, ["source_id"]),
    ("data", {"source_id": 5}, ["source_id"]),
    ("data", {"source_id": "4F79CFD1-C057-47F4-8E4D-1B126CA7BF34"}, ["source_id"]),
    ("data", {"source_id": "4f79cfd1-c057-07f4-8e4d-1b126ca7bf34"}, ["source_id"]),
    ("data", {"format": ABSENT}, ["format"]),
    ("data", {"format": None}, ["format"]),
    ("data", {"format": "urn:x-nmos:format:image"}, ["format"]),
    ("data", {"format": ["urn:x-nmos:format:data"]}, ["format"]),
    ("data", {"label": 5}, ["label"]),
    ("data", {"label": None}, ["label"]),
    ("data", {"label": "é" * 513}, ["label"]),
    ("data", {"description": {}}, ["description"]),
    ("data", {"created_by": 1}, ["created_by"]),
    ("data", {"updated_by": 1}, ["updated_by"]),
    ("data", {"metadata_version": 1}, ["metadata_version"]),
    ("data", {"generation": -1}, ["generation"]),
    ("data", {"generation": "1"}, ["generation"]),
    ("data", {"generation": True}, ["generation"]),
    ("data", {"generation": 0.5}, ["generation"]),
    ("data", {"status": "done"}, ["status"]),
    ("data", {"read_only": "false"}, ["read_only"]),
    ("data", {"read_only": 0}, ["read_only"]),
    ("data", {"max_bit_rate": -1}, ["max_bit_rate"]),
    ("data", {"tags": []}, ["tags"]),
    ("data", {"tags": {"a": 1}}, ["tags.a"]),
    ("data", {"tags": {"a": ["b", None], "c": {}}}, ["tags.a", "tags.c"]),
    ("data", {"tags": {"a": "x" * 1025}}, ["tags.a"]),
    ("data", {"tags": {"é" * 513: "a"}}, [f"tags.{'é' * 513}"]),
    ("data", {"profile_id": "x"}, ["profile_id"]),
    ("data", {"profile_id": 5}, ["profile_id"]),
    ("data", {"flow_collection": {}}, ["flow_collection"]),
    ("data", {"flow_collection": [{}, 5]}, ["flow_collection[0].id", "flow_collection[1]"]),
    ("data", {"flow_collection": [{"id": "x"}]}, ["flow_collection[0].id"]),
    ("data", {"label": 5, "generation": -1}, ["generation", "label"]),
    # technical metadata
    ("data", {"codec": ABSENT}, ["codec"]),
    ("data", {"codec": "json"}, ["codec"]),
    ("data", {"codec": "a/b/c"}, ["codec"]),
    ("data", {"codec": "a/b\n"}, ["codec"]),
    ("data", {"codec": 5}, ["codec"]),
    ("data", {"container": "mp2t"}, ["container"]),
    # No answer to a GET of the media could carry these.
    ("data", {"container": "a/\u0001"}, ["container"]),
    ("data", {"container": "видео/мп4"}, ["container"]),
    ("data", {"container": "video/mp4\u00a0x"}, ["container"]),
    ("data", {"container": "a/" + "b" * 1023}, ["container"]),
    ("data", {"avg_bit_rate": -1}, ["avg_bit_rate"]),
    ("data", {"segment_duration": 6}, ["segment_duration"]),
    ("data", {"segment_duration": {}}, ["segment_duration.numerator"]),
    ("data", {"segment_duration": {"numerator": 0}}, ["segment_duration.numerator"]),
    ("data", {"segment_duration": {"numerator": 1, "denominator": 0}}, ["segment_duration.denominator"]),
    ("data", {"container_mapping": []}, ["container_mapping"]),
    ("data", {"container_mapping.track_index": -1}, ["container_mapping.track_index"]),
    ("data", {"container_mapping.format_track_index": "0"}, ["container_mapping.format_track_index"]),
    ("data", {"container_mapping.mp2ts_container.pid": "256"}, ["container_mapping.mp2ts_container.pid"]),
    ("data", {"container_mapping.mxf_container.package_uid": "urn:x"}, ["container_mapping.mxf_container.package_uid"]),
    ("data", {"container_mapping.isobmff_container.track_id": 1.5}, ["container_mapping.isobmff_container.track_id"]),
    ("data", {"container_mapping.audio_track.channel_numbers": []}, ["container_mapping.audio_track.channel_numbers"]),
    (
        "data",
        {"container_mapping.audio_track.channel_numbers": [0, -1]},
        ["container_mapping.audio_track.channel_numbers[1]"],
    ),
    ("data", {"container_mapping.audio_track.channel_range": "0-1"}, ["container_mapping.audio_track.channel_range"]),
    ("data", {"container_mapping.audio_track.channel_range": "0_1\n"}, ["container_mapping.audio_track.channel_range"]),
    # essence parameters, where unknown properties are refused
    *[
        (kind, {"essence_parameters.own": 1}, ["essence_parameters.own"])
        for kind in ("video", "audio", "image", "data", "multi")
    ],
    *[(kind, {"essence_parameters": ABSENT}, ["essence_parameters"]) for kind in ("video", "audio", "image", "data")],
    ("data", {"essence_parameters": None}, ["essence_parameters"]),
    ("data", {"essence_parameters.data_type": 5}, ["essence_parameters.data_type"]),
    ("data", {"essence_parameters.init_segments": "true"}, ["essence_parameters.init_segments"]),
    ("multi", {"essence_parameters.init_segments": 1}, ["essence_parameters.init_segments"]),
    ("image", {"essence_parameters.init_segments": True}, ["essence_parameters.init_segments"]),
    ("image", {"essence_parameters.frame_width": 0}, ["essence_parameters.frame_width"]),
    ("image", {"essence_parameters.aspect_ratio.numerator": 16}, ["essence_parameters.aspect_ratio.denominator"]),
    ("audio", {"essence_parameters.sample_rate": ABSENT}, ["essence_parameters.sample_rate"]),
    ("audio", {"essence_parameters.sample_rate": 44100.5}, ["essence_parameters.sample_rate"]),
    ("audio", {"essence_parameters.channels": 0}, ["essence_parameters.channels"]),
    ("audio", {"essence_parameters.bit_depth": 0}, ["essence_parameters.bit_depth"]),
    ("audio", {"essence_parameters.codec_parameters": []}, ["essence_parameters.codec_parameters"]),
    ("audio", {"essence_parameters.codec_parameters.mp4_oti": "2"}, ["essence_parameters.codec_parameters.mp4_oti"]),
    ("audio", {"essence_parameters.unc_parameters": {}}, ["essence_parameters.unc_parameters.unc_type"]),
    ("audio", {"codec": "audio/x-raw-int"}, ["essence_parameters.bit_depth", "essence_parameters.unc_parameters"]),
    (
        "audio",
        {
            "codec": "audio/x-raw-float",
            "essence_parameters.bit_depth": 24,
            "essence_parameters.unc_parameters.unc_type": "planar",
        },
        ["essence_parameters.bit_depth"],
    ),
    ("video", {"essence_parameters.frame_width": ABSENT}, ["essence_parameters.frame_width"]),
    ("video", {"essence_parameters.frame_width": -1920}, ["essence_parameters.frame_width"]),
    ("video", {"essence_parameters.frame_height": "1080"}, ["essence_parameters.frame_height"]),
    ("video", {"essence_parameters.frame_rate": ABSENT}, ["essence_parameters.frame_rate"]),
    ("video", {"essence_parameters.frame_rate": 25}, ["essence_parameters.frame_rate"]),
    ("video", {"essence_parameters.frame_rate": {"denominator": 1}}, ["essence_parameters.frame_rate.numerator"]),
    ("video", {"essence_parameters.frame_rate.denominator": 0}, ["essence_parameters.frame_rate.denominator"]),
    ("video", {"essence_parameters.vfr": True}, ["essence_parameters.frame_rate"]),
    ("video", {"essence_parameters.vfr": "yes"}, ["essence_parameters.vfr"]),
    ("video", {"essence_parameters.vfr": None}, ["essence_parameters.vfr"]),
    ("video", {"essence_parameters.interlace_mode": "interlaced"}, ["essence_parameters.interlace_mode"]),
    ("video", {"essence_parameters.colorspace": "bt709"}, ["essence_parameters.colorspace"]),
    ("video", {"essence_parameters.transfer_characteristic": 1}, ["essence_parameters.transfer_characteristic"]),
    ("video", {"essence_parameters.component_type": "YUV"}, ["essence_parameters.component_type"]),
    ("video", {"essence_parameters.horiz_chroma_subs": 0}, ["essence_parameters.horiz_chroma_subs"]),
    (
        "video",
        {"essence_parameters.pixel_aspect_ratio": {}},
        ["essence_parameters.pixel_aspect_ratio.denominator", "essence_parameters.pixel_aspect_ratio.numerator"],
    ),
    (
        "video",
        {"essence_parameters.avc_parameters": {"profile": 100, "level": "31"}},
        ["essence_parameters.avc_parameters.flags", "essence_parameters.avc_parameters.level"],
    ),
    ("video", {"essence_parameters.unc_parameters.unc_type": "yuyv"}, ["essence_parameters.unc_parameters.unc_type"]),
    (
        "video",
        {"essence_parameters.unc_parameters.unc_type": "v210"},
        ["essence_parameters.horiz_chroma_subs", "essence_parameters.vert_chroma_subs"],
    ),
    ("video", {"codec": "video/raw"}, ["essence_parameters.bit_depth", "essence_parameters.unc_parameters"]),
]


@pytest.mark.parametrize(("kind", "wrong", "at_fault"), BAD)
def test_a_bad_flow_is_refused_by_field(
    client: FlaskClient, kind: str, wrong: dict[str, Any], at_fault: list[str]
) -> None:
    document = KINDS[kind]()
    flow_id = document["id"]
    for path, value in wrong.items():
        document = _with(document, path, value)
    answer = client.put(f"/flows/{flow_id}", json=document)
    assert answer.status_code == 400
    assert sorted(answer.json["errors"]) == at_fault
    assert answer.json["summary"] == answer.json["message"]
    assert client.get("/flows").json == client.get("/sources").json == []


def test_an_update_that_is_refused_changes_nothing(client: FlaskClient) -> None:
    document = video(label="before")
    put(client, document)
    before = client.get(f"/flows/{document['id']}").json
    bad = _with({**document, "label": "after"}, "essence_parameters.frame_rate", ABSENT)
    assert client.put(f"/flows/{document['id']}", json=bad).status_code == 400
    assert client.get(f"/flows/{document['id']}").json == before


def test_post_refuses_the_same(client: FlaskClient) -> None:
    for wrong, path in (({"codec": "x"}, "codec"), ({"id": "x"}, "id"), ({"id": None}, "id")):
        answer = client.post("/flows", json={**data(), **wrong})
        assert answer.status_code == 400
        assert list(answer.json["errors"]) == [path]
    assert client.get("/flows").json == []


@pytest.mark.parametrize(
    "body", [b"[]", b"5", b'"x"', b"null", b"{", b"", b'{"a":"\\u0000"}', b'{"a":9223372036854775808}']
)
def test_what_is_no_flow_at_all_is_400(client: FlaskClient, body: bytes) -> None:
    for method, path in (("PUT", f"/flows/{new_id()}"), ("POST", "/flows")):
        answer = client.open(path, method=method, data=body, content_type="application/json")
        assert answer.status_code == 400
        assert answer.json["errors"]


def test_what_is_not_json_is_415(client: FlaskClient) -> None:
    assert client.put(f"/flows/{new_id()}", data="{}", content_type="text/plain").status_code == 415


def test_a_flow_has_at_most_64_kib(client: FlaskClient) -> None:
    document = data(description="x" * 60_000)
    put(client, document)
    answer = client.put(f"/flows/{document['id']}", json={**document, "own": "é" * 3_000})
    assert answer.status_code == 400
    assert "own" not in client.get(f"/flows/{document['id']}").json
