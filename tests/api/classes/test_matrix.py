"""Every operation, with every permission on the class: generated from the one table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.api.permissions import TABLE, ByClass, Needed
from tams.config import Settings
from tams.domain.principals import SCOPES
from tests.support.access_clients import OPEN, VAULT, Clients, groups
from tests.support.access_scene import ASK, Scene, absent

OPERATIONS = [
    (f"{method} {path}", verb, needed)
    for path, methods in TABLE.items()
    for method, needed in methods.items()
    for verb in (("GET", "HEAD") if method == "GET" else (method,))
    if needed.by_class is not None
]

PERMISSIONS: dict[str, list[str]] = {
    "no group": [],
    "a foreign class": groups("drama"),
    "read": groups("news", of=("read",)),
    "write": groups("news", of=("write",)),
    "delete": groups("news", of=("delete",)),
    "everything": groups("news"),
    "read, and all of a foreign class": groups("news", of=("read",)) + groups("drama"),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Requests delete one Segment at most by themselves."""
    return replace(settings, delete_inline_limit=1)


def test_the_table_and_the_questions_are_about_the_same_operations() -> None:
    assert set(ASK) == {name for name, _, _ in OPERATIONS}


@pytest.mark.parametrize("held", PERMISSIONS)
@pytest.mark.parametrize(("name", "verb", "needed"), OPERATIONS, ids=[f"{verb} {name}" for name, verb, _ in OPERATIONS])
def test_an_operation_is_answered_by_the_permissions_on_the_class(
    admin: FlaskClient, by: Clients, name: str, verb: str, needed: Needed, held: str
) -> None:
    rule = needed.by_class
    assert rule is not None
    scene = Scene(admin)
    path, sent = ASK[name](scene)
    mine = PERMISSIONS[held]
    permissions = {group.removeprefix("news-") for group in mine if group.startswith("news-")}
    client = by(*mine)
    answer = client.open(path, method=verb, **sent)
    if rule.at == "listing":
        check_listing(scene, client, path, verb, rule, granted=rule.permission in permissions)
    elif rule.at == "new":
        assert answer.status_code == (201 if "write" in permissions else 403), answer.text
    elif rule.permission in permissions:
        assert answer.status_code in {200, 201, 204}, answer.text
    elif permissions:
        assert answer.status_code == 403, answer.text
        assert verb == "HEAD" or "needs the scope" not in answer.text
    else:
        nothing = client.open(absent(path), method=verb, **sent)
        if name == "PUT /flows/{flow_id}":
            assert (answer.status_code, nothing.status_code) == (404, 400)
        else:
            assert answer.status_code == (200 if "GET /flows/{flow_id}/segments" in name else 404), answer.text
            assert told(answer, path) == told(nothing, absent_of(nothing))
    # What was refused has changed nothing.
    everything = by(name="other admin", scopes=SCOPES)
    if answer.status_code in {403, 404} and rule.at == "one" and "/storage/" not in path:
        again = everything.open(path, method=verb, **sent)
        assert again.status_code in {200, 201, 204}, again.text


def absent_of(answer: TestResponse) -> str:
    """The path that the answer is about."""
    return answer.request.path


def told(answer: TestResponse, path: str) -> tuple[int, str, dict[str, str]]:
    """All of an answer but for the ids that the client itself gave, and what differs between any two answers."""
    body = re.sub(r'"(time|request_id)":"[^"]*"', "", answer.text)
    for part in path.partition("?")[0].split("/")[2:]:
        body = body.replace(part, "")
    changing = {"Content-Length", "X-Request-ID", "Date"}
    return answer.status_code, body, {key: value for key, value in answer.headers.items() if key not in changing}


def check_listing(scene: Scene, client: FlaskClient, path: str, verb: str, rule: ByClass, *, granted: bool) -> None:
    kind = rule.of
    if kind == "Storage Backend":
        expected = {OPEN}
    else:
        made = {"webhook": scene.webhook_id, "Source": scene.source_id} if kind != "Flow" else {"Flow": scene.flow_id}
        expected = {made[kind]} if granted else set()
    answer = client.open(path, method=verb)
    assert answer.status_code == 200
    assert answer.headers["X-Paging-Count"] == str(len(expected))
    assert "Link" not in answer.headers
    if verb == "GET":
        assert {item["id"] for item in answer.json} == expected


@pytest.mark.parametrize("permission", ["read", "write", "delete"])
def test_a_storage_backend_is_listed_by_its_own_classes(by: Clients, permission: str) -> None:
    client = by(*groups("vault", of=(permission,)))
    shown = [item["id"] for item in client.get("/service/storage-backends").json]
    assert shown == ([OPEN, VAULT] if permission == "read" else [OPEN])
