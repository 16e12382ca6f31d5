"""Sources: declaring them, listing them, and changing one property at a time."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import is_uuid, new_id
from tests.support.flow_documents import data, get_source, put, put_json

DATA = "urn:x-nmos:format:data"


def _declare(client: FlaskClient, **more: Any) -> str:
    answer = client.post("/sources", json={"format": DATA, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def test_post_declares_a_source(client: FlaskClient) -> None:
    document = {
        "id": new_id(),
        "format": DATA,
        "label": "a",
        "description": "b",
        "tags": {"c": ["d"]},
        "created_by": "me",
        "updated_by": "you",
    }
    answer = client.post("/sources", json=document)
    assert answer.status_code == 201
    assert answer.json.items() >= document.items()
    assert answer.json == get_source(client, document["id"])  # type: ignore[arg-type]
    assert answer.headers["Location"] == f"http://localhost/sources/{document['id']}"


def test_post_makes_an_id_and_ignores_read_only_properties(client: FlaskClient) -> None:
    junk = dict.fromkeys(("created", "updated", "source_collection", "collected_by", "unknown"), 5)
    source_id = _declare(client, **junk)
    assert is_uuid(source_id)
    source = get_source(client, source_id)
    assert source.keys() == {"id", "format", "tags", "created_by", "updated_by", "created", "updated"}
    assert source["tags"] == {}


@pytest.mark.parametrize("declared", [True, False])
def test_post_of_an_existing_source_is_409(client: FlaskClient, declared: bool) -> None:
    document = data()
    if declared:
        _declare(client, id=document["source_id"])
    else:
        put(client, document)
    answer = client.post("/sources", json={"id": document["source_id"], "format": DATA, "label": "again"})
    assert answer.status_code == 409
    assert "label" not in get_source(client, document["source_id"])


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"format": "video"}, "format"),
        ({"format": None}, "format"),
        ({"id": "x"}, "id"),
        ({"id": None}, "id"),
        ({"label": 5}, "label"),
        ({"label": "é" * 513}, "label"),
        ({"description": []}, "description"),
        ({"tags": {"a": [1]}}, "tags.a"),
        ({"tags": []}, "tags"),
    ],
)
def test_a_bad_source_is_refused_by_field(client: FlaskClient, wrong: dict[str, Any], path: str) -> None:
    answer = client.post("/sources", json={"format": DATA, **wrong})
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [path]
    assert client.get("/sources").json == []


def test_a_source_needs_a_format(client: FlaskClient) -> None:
    answer = client.post("/sources", json={"id": new_id()})
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == ["format"]


def test_unknown_sources_are_404(client: FlaskClient) -> None:
    for path in ("", "/tags", "/tags/a", "/label", "/description"):
        url = f"/sources/{new_id()}{path}"
        assert client.get(url).status_code == 404
        assert client.head(url).status_code == 404
    for path in ("/tags/a", "/label", "/description"):
        url = f"/sources/{new_id()}{path}"
        assert client.put(url, data=b"{", content_type="text/plain").status_code == 404
        assert client.delete(url).status_code == 404


@pytest.mark.parametrize("name", ["label", "description"])
def test_a_property_is_set_shown_and_unset(client: FlaskClient, name: str) -> None:
    source_id = _declare(client, updated_by="me")
    url = f"/sources/{source_id}/{name}"
    assert client.get(url).status_code == 404
    assert client.put(url, json="Übersicht & mehr").status_code == 204
    assert client.get(url).text == '"Übersicht & mehr"'
    assert get_source(client, source_id)[name] == "Übersicht & mehr"
    assert get_source(client, source_id)["updated_by"] == "anonymous"
    for _ in range(2):
        assert client.delete(url).status_code == 204
        assert client.get(url).status_code == 404
    assert name not in get_source(client, source_id)


def test_tags_are_set_shown_and_removed(client: FlaskClient) -> None:
    source_id = _declare(client)
    url = f"/sources/{source_id}/tags"
    assert client.get(url).json == {}
    assert client.put(f"{url}/a%2Fb", json="c").status_code == 204
    assert client.put(f"{url}/d", json=["e", "f"]).status_code == 204
    assert client.get(url).json == {"a/b": "c", "d": ["e", "f"]}
    assert client.get(f"{url}/a%2Fb").json == "c"
    assert client.delete(f"{url}/a%2Fb").status_code == 204
    assert client.delete(f"{url}/a%2Fb").status_code == 404
    assert client.get(f"{url}/a%2Fb").status_code == 404
    assert get_source(client, source_id)["tags"] == {"d": ["e", "f"]}


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("label", 5, "label"),
        ("label", None, "label"),
        ("label", "x" * 1025, "label"),
        ("description", {}, "description"),
        ("tags/a", 5, "tags.a"),
        ("tags/a", None, "tags.a"),
        ("tags/a", ["b", 5], "tags.a"),
        ("tags/a", "x" * 1025, "tags.a"),
        (f"tags/{'x' * 1025}", "b", f"tags.{'x' * 1025}"),
    ],
)
def test_a_bad_value_is_refused(client: FlaskClient, path: str, value: object, error: str) -> None:
    source_id = _declare(client)
    before = get_source(client, source_id)
    answer = put_json(client, f"/sources/{source_id}/{path}", value)
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [error]
    assert get_source(client, source_id) == before


def test_a_source_cannot_outgrow_the_limit(client: FlaskClient) -> None:
    source_id = _declare(client, description="x" * 60_000)
    for index in range(3):
        assert client.put(f"/sources/{source_id}/tags/{index}", json="x" * 1024).status_code == 204
    many = ["x" * 1024] * 3
    assert client.put(f"/sources/{source_id}/tags/more", json=many).status_code == 400
    assert client.get(f"/sources/{source_id}/tags/more").status_code == 404


# Listing


def _ids(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/sources?{query}")
    assert answer.status_code == 200, answer.text
    return [source["id"] for source in answer.json]


def test_sources_are_filtered(client: FlaskClient) -> None:
    video = _declare(client, format="urn:x-nmos:format:video", label="one", tags={"a": "x"})
    audio = _declare(client, format="urn:x-nmos:format:audio", label="two", tags={"a": ["x", "y"], "b": "z"})
    bare = _declare(client)
    for query, expected in [
        ("", [bare, audio, video]),
        ("format=urn:x-nmos:format:audio", [audio]),
        ("label=one", [video]),
        ("label=", []),
        ("tag.a=x", [audio, video]),
        ("tag.a=y,q", [audio]),
        ("tag.a=x&tag.b=z", [audio]),
        ("tag_exists.a=false", [bare]),
        ("tag_exists.b=TRUE", [audio]),
        ("collected_by_ids=", [bare, audio, video]),
        (f"collected_by_ids={video}", []),
        ("unheard_of=1", [bare, audio, video]),
    ]:
        assert _ids(client, query) == expected, query


def test_sources_are_sorted(client: FlaskClient) -> None:
    first, second, third = _declare(client, label="b"), _declare(client, label="a"), _declare(client)
    assert client.put(f"/sources/{first}/description", json="touched").status_code == 204
    for query, expected in [
        ("sort_by=created", [third, second, first]),
        ("sort_by=created&reverse_order=true", [first, second, third]),
        ("sort_by=updated", [first, third, second]),
        ("sort_by=label", [second, first, third]),
        ("sort_by=label&reverse_order=True", [third, first, second]),
    ]:
        assert _ids(client, query) == expected, query


@pytest.mark.parametrize(
    "query",
    [
        "format=video",
        "sort_by=metadata_updated",
        "reverse_order=1",
        "collected_by_ids=x",
        "limit=0",
        "page=x",
        "tag.a=,",
        "tag_exists.a=1",
    ],
)
def test_a_bad_query_is_400(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/sources?{query}")
    assert answer.status_code == 400
    assert list(answer.json["errors"]) == [query.split("=", maxsplit=1)[0]]
