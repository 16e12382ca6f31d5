"""`/service/profiles`: creating, reading and filtering Profiles."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.profile_documents import AUDIO, VIDEO, profile

PATH = "/service/profiles"


def create(client: FlaskClient, sent: dict[str, Any]) -> Any:
    answer = client.post(f"{PATH}/{sent['id']}", json=sent)
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_profile_is_created_and_read(client: FlaskClient) -> None:
    sent = profile(label="1080p50", description="HD", tags={"a": ["b"]})
    created = create(client, sent)
    assert created == sent | {"created_by": "anonymous", "created": created["created"]}
    assert client.get(f"{PATH}/{sent['id']}").json == created
    assert client.get(PATH).json == [created]


def test_a_client_may_set_created_by_but_not_created(client: FlaskClient) -> None:
    created = create(client, profile(created_by="tams-dev", created="2008-05-27T18:51:00Z"))
    assert created["created_by"] == "tams-dev"
    assert created["created"] != "2008-05-27T18:51:00Z"


def test_a_profile_never_changes(client: FlaskClient) -> None:
    sent = profile(label="first")
    created = create(client, sent)
    for again in (sent, sent | {"label": "second"}):
        assert client.post(f"{PATH}/{sent['id']}", json=again).status_code == 400
    assert client.get(f"{PATH}/{sent['id']}").json == created
    assert client.put(f"{PATH}/{sent['id']}", json=sent).status_code == 405
    assert client.delete(f"{PATH}/{sent['id']}").status_code == 405


def test_an_unknown_profile_is_404(client: FlaskClient) -> None:
    assert client.get(f"{PATH}/{new_id()}").status_code == 404


def test_only_technical_metadata_is_kept(client: FlaskClient) -> None:
    created = create(client, profile(VIDEO | {"max_bit_rate": 5, "x": 1}, unknown=1))
    assert created["flow_metadata"] == VIDEO
    assert "unknown" not in created


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": None}, "id"),
        ({"id": "x"}, "id"),
        ({"label": 5}, "label"),
        ({"label": "x" * 1025}, "label"),
        ({"tags": {"a": 5}}, "tags.a"),
        ({"flow_metadata": None}, "flow_metadata"),
        ({"flow_metadata": {}}, "flow_metadata.format"),
        ({"flow_metadata": {"format": "urn:x-nmos:format:multi"}}, "flow_metadata.format"),
        ({"flow_metadata": {"format": ["x"]}}, "flow_metadata.format"),
        ({"flow_metadata": VIDEO | {"codec": "h264"}}, "flow_metadata.codec"),
        ({"flow_metadata": VIDEO | {"avg_bit_rate": -1}}, "flow_metadata.avg_bit_rate"),
        (
            {"flow_metadata": VIDEO | {"essence_parameters": {"frame_width": 0, "frame_height": 1, "vfr": True}}},
            "flow_metadata.essence_parameters.frame_width",
        ),
        (
            {"flow_metadata": VIDEO | {"essence_parameters": {"frame_width": 1, "frame_height": 1}}},
            "flow_metadata.essence_parameters.frame_rate",
        ),
    ],
)
def test_a_wrong_property_is_named_and_nothing_stored(client: FlaskClient, change: dict[str, Any], path: str) -> None:
    sent = profile()
    answer = client.post(f"{PATH}/{sent['id']}", json=sent | change)
    assert answer.status_code == 400, answer.text
    assert answer.json is not None
    assert path in answer.json["errors"]
    assert client.get(PATH).json == []


def test_the_id_of_the_body_is_that_of_the_path(client: FlaskClient) -> None:
    answer = client.post(f"{PATH}/{new_id()}", json=profile())
    assert answer.status_code == 400
    assert answer.json is not None
    assert list(answer.json["errors"]) == ["id"]


def test_a_profile_is_limited_in_size(client: FlaskClient) -> None:
    sent = profile(description="x" * 65_500)
    assert client.post(f"{PATH}/{sent['id']}", json=sent).status_code == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a", "b", None]),
        ("format=urn:x-nmos:format:audio", ["b"]),
        ("format=urn:x-nmos:format:multi", []),
        ("codec=video/h264", ["a", None]),
        ("codec=video%2Fh265", []),
        ("label=a", ["a"]),
        ("label=", []),
        ("label=a&codec=audio/aac", []),
        ("unknown=a", ["a", "b", None]),
    ],
)
def test_profiles_are_filtered(client: FlaskClient, query: str, expected: list[str | None]) -> None:
    for sent in (profile(), profile(AUDIO, label="b"), profile(label="a")):
        create(client, sent)
    answer = client.get(f"{PATH}?{query}")
    assert answer.json is not None
    assert [item.get("label") for item in answer.json] == expected
    assert answer.headers["X-Paging-Count"] == str(len(expected))


@pytest.mark.parametrize("query", ["format=video", "codec=h264", "codec=", "label=a&label=b", "limit=0", "page=x"])
def test_a_malformed_filter_is_400(client: FlaskClient, query: str) -> None:
    assert client.get(f"{PATH}?{query}").status_code == 400
