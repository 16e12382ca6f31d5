"""Adding classes to Sources and Flows, and removing them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.identifiers import new_id
from tests.support.access_clients import Clients, groups
from tests.support.access_scene import Scene, put_flow
from tests.support.flow_documents import data, get, put


def classes(admin: FlaskClient, path: str) -> Any:
    """Return the classes of a Flow or Source."""
    return admin.get(path).json["tags"].get("auth_classes")


@pytest.fixture(params=["flow", "source"])
def path(request: pytest.FixtureRequest, admin: FlaskClient) -> str:
    """Make a Flow, or a Source, of news and drama; return its path."""
    scene = Scene(admin, ["news", "drama"])
    return f"/flows/{scene.flow_id}" if request.param == "flow" else f"/sources/{scene.source_id}"


def test_own_classes_can_be_added_and_removed(admin: FlaskClient, by: Clients, path: str) -> None:
    both = by(*groups("news", "sport"))
    assert both.put(f"{path}/tags/auth_classes", json=["news", "drama", "sport"]).status_code == 204
    assert both.put(f"{path}/tags/auth_classes", json=["drama", "sport"]).status_code == 204
    assert classes(admin, path) == ["drama", "sport"]


def test_foreign_classes_can_be_neither_added_nor_removed(admin: FlaskClient, reporter: FlaskClient, path: str) -> None:
    for value in (["news"], "news", ["news", "drama", "sport"], ["drama", "unheard of"], ["sport"]):
        answer = reporter.put(f"{path}/tags/auth_classes", json=value)
        assert answer.status_code == 403, value
        assert "auth_classes" in answer.json["summary"]
    assert classes(admin, path) == ["news", "drama"]
    assert admin.put(f"{path}/tags/auth_classes", json=["unheard of"]).status_code == 204
    assert reporter.get(path).status_code == 404


def test_the_last_class_cannot_be_removed(admin: FlaskClient, by: Clients, path: str) -> None:
    client = by(*groups("news", "drama"))
    empty = client.put(f"{path}/tags/auth_classes", json=[])
    assert empty.status_code == 400
    assert list(empty.json["errors"]) == ["tags.auth_classes"]
    assert client.delete(f"{path}/tags/auth_classes").status_code == 403
    assert classes(admin, path) == ["news", "drama"]
    assert admin.delete(f"{path}/tags/auth_classes").status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(f"{path}/tags/auth_classes").status_code == 404
    assert admin.get(path).status_code == 200


def test_other_tags_need_write_only(reporter: FlaskClient, path: str) -> None:
    assert reporter.put(f"{path}/tags/colour", json="blue").status_code == 204
    assert reporter.delete(f"{path}/tags/colour").status_code == 204


def test_replacing_a_flow_follows_the_same_rules(admin: FlaskClient, reporter: FlaskClient) -> None:
    flow_id = Scene(admin, ["news", "drama"]).flow_id
    document = get(reporter, flow_id)
    statuses = {
        status: put_flow(reporter, {**document, "tags": tags}).status_code
        for status, tags in {
            204: {"auth_classes": ["drama", "news"], "x": "y"},
            403: {"auth_classes": "news"},
            400: {"x": "y"},
        }.items()
    }
    assert all(expected == found for expected, found in statuses.items())
    without = {name: value for name, value in document.items() if name != "tags"}
    answer = put_flow(reporter, without)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["tags.auth_classes"])
    assert "news" in answer.json["summary"]
    assert put_flow(admin, without).status_code == 204
    assert reporter.get(f"/flows/{flow_id}").status_code == 404


@pytest.mark.parametrize("tags", [{}, {"auth_classes": []}, {"colour": "red"}])
def test_a_new_source_or_flow_needs_a_class(admin: FlaskClient, reporter: FlaskClient, tags: dict[str, Any]) -> None:
    flow = data(tags=tags)
    source = {"id": new_id(), "format": "urn:x-nmos:format:data", "tags": tags}
    for refused in (
        put_flow(reporter, flow),
        reporter.post("/flows", json=flow),
        reporter.post("/sources", json=source),
    ):
        assert refused.status_code == 400, refused.text
        assert list(refused.json["errors"]) == ["tags.auth_classes"]
    assert admin.get("/flows").json == admin.get("/sources").json == []
    assert admin.post("/flows", json=flow).status_code == admin.post("/sources", json=source).status_code == 201
    assert reporter.get("/flows").json == reporter.get("/sources").json == []


def test_a_new_source_takes_the_classes_of_its_flow(admin: FlaskClient, reporter: FlaskClient) -> None:
    flow_id = put(reporter, data(tags={"auth_classes": "news"}))
    assert classes(admin, f"/sources/{get(admin, flow_id)['source_id']}") == "news"


def test_a_new_flow_takes_the_classes_of_an_existing_source(admin: FlaskClient, reporter: FlaskClient) -> None:
    source_id = Scene(admin, ["drama", "news"]).source_id
    for tags in ({}, {"x": "y"}):
        flow_id = put(reporter, data(source_id=source_id, tags=tags))
        assert get(reporter, flow_id)["tags"] == {**tags, "auth_classes": ["drama", "news"]}
    flow_id = put(reporter, data(source_id=source_id, tags={"auth_classes": "news"}))
    assert get(admin, flow_id)["tags"] == {"auth_classes": "news"}
    by_admin = put(admin, data(source_id=source_id))
    assert get(admin, by_admin)["tags"] == {"auth_classes": ["drama", "news"]}


@pytest.mark.parametrize(("held", "status"), [((), 404), (("read",), 403), (("delete",), 403), (("write",), 201)])
def test_a_flow_of_an_existing_source_needs_write_on_it(
    admin: FlaskClient, by: Clients, held: tuple[str, ...], status: int
) -> None:
    source_id = Scene(admin, "drama").source_id
    client = by(*groups("news"), *groups("drama", of=held))
    document = data(source_id=source_id, tags={"auth_classes": "news"})
    assert client.post("/flows", json=document).status_code == status
    assert put_flow(client, {**document, "id": new_id()}).status_code == status
    moving = put(client, data(tags={"auth_classes": "news"}))
    moved = put_flow(client, {**get(client, moving), "source_id": source_id})
    assert moved.status_code == (204 if status == 201 else status)
    assert (get(admin, moving)["source_id"] == source_id) is (status == 201)


def test_the_id_of_a_hidden_resource_cannot_be_used(admin: FlaskClient, reporter: FlaskClient) -> None:
    scene = Scene(admin, "drama")
    flow = data(id=scene.flow_id, tags={"auth_classes": "news"})
    source = {"id": scene.source_id, "format": flow["format"], "tags": {"auth_classes": "news"}}
    for answer in (
        put_flow(reporter, flow),
        reporter.post("/flows", json=flow),
        reporter.post("/sources", json=source),
        reporter.put(f"/flows/{scene.flow_id}", json={"not": "a Flow"}),
    ):
        assert answer.status_code == 404, answer.text
    assert get(admin, scene.flow_id)["tags"] == scene.tags


def test_resources_without_a_class_are_visible_to_admin_only(admin: FlaskClient, by: Clients) -> None:
    flow_id = put(admin, data())
    everything = by(*groups("news", "drama", "sport", "vault"))
    assert everything.get("/flows").json == []
    assert everything.get(f"/flows/{flow_id}").status_code == 404
    assert everything.delete(f"/flows/{flow_id}").status_code == 404
    assert everything.get(f"/flows/{flow_id}/segments").json == []
    assert [flow["id"] for flow in admin.get("/flows").json] == [flow_id]
