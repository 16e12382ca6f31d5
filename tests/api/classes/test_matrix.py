"""Every operation with every permission on the class: generated from the table of permissions.

A test tries all operations with one permission, on one application.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.api.permissions import TABLE, ByClass
from tams.config import Settings
from tams.domain.principals import SCOPES
from tests.support.access_clients import OPEN, VAULT, Clients, groups
from tests.support.access_scene import REQUESTS, Scene, absent
from tests.support.matrix import Matrix

OPERATIONS = [
    (f"{method} {path}", verb, needed)
    for path, methods in TABLE.items()
    for method, needed in methods.items()
    for verb in (("GET", "HEAD") if method == "GET" else (method,))
    if needed.by_class is not None
]
# Listings come first: then the only resources in the archive are those of the listings before. A Flow brings a Source.
LISTINGS = ("GET /service/storage-backends", "GET /service/webhooks", "GET /sources", "GET /flows")
OPERATIONS.sort(key=lambda operation: LISTINGS.index(operation[0]) if operation[0] in LISTINGS else len(LISTINGS))

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
    """Let a request delete at most one Segment itself, so that more make a Flow delete request."""
    return replace(settings, delete_inline_limit=1)


def test_the_table_and_the_requests_are_about_the_same_operations() -> None:
    assert set(REQUESTS) == {name for name, _, _ in OPERATIONS}


def test_no_cell_of_the_matrix_is_lost() -> None:
    # Another operation changes this number; it is stated so that it never shrinks unnoticed.
    assert len(OPERATIONS) * len(PERMISSIONS) == 560
    assert {name for name, _, needed in OPERATIONS if needed.by_class.at == "listing"} == set(LISTINGS)


@pytest.mark.parametrize("held", PERMISSIONS)
def test_permissions_on_the_class_decide_every_operation(admin: FlaskClient, by: Clients, held: str) -> None:
    client = by(*PERMISSIONS[held])
    permissions = {group.removeprefix("news-") for group in PERMISSIONS[held] if group.startswith("news-")}
    listed: dict[str, set[str]] = {"Storage Backend": {OPEN}, "webhook": set(), "Source": set(), "Flow": set()}
    matrix = Matrix()
    for name, verb, needed in OPERATIONS:
        rule = needed.by_class
        assert rule is not None
        with matrix.cell(f"{verb} {name}"):
            scene = Scene(admin)
            if rule.at == "listing":
                add_to_listing(scene, rule.of, listed)
                granted = rule.permission in permissions or rule.of == "Storage Backend"
                check_listing(client, name.partition(" ")[2], verb, listed[rule.of] if granted else set())
            else:
                check_operation(scene, by, client, name, verb, rule, permissions)
    matrix.check(cells=len(OPERATIONS))


def check_operation(
    scene: Scene, by: Clients, client: FlaskClient, name: str, verb: str, rule: ByClass, permissions: set[str]
) -> None:
    """Compare the response to an operation on a resource of the class with what these permissions on it allow."""
    path, sent = REQUESTS[name](scene)
    answer = client.open(path, method=verb, **sent)
    if rule.at == "new":
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
    # A refused request has changed nothing.
    if answer.status_code in {403, 404} and rule.at == "one" and "/storage/" not in path:
        again = by(name="other admin", scopes=SCOPES).open(path, method=verb, **sent)
        assert again.status_code in {200, 201, 204}, again.text


def add_to_listing(scene: Scene, kind: str, listed: dict[str, set[str]]) -> None:
    """Make a resource of this kind, and note its id."""
    if kind != "Storage Backend":
        made = {"webhook": "webhook_id", "Source": "source_id", "Flow": "flow_id"}[kind]
        listed[kind].add(getattr(scene, made))


def check_listing(client: FlaskClient, path: str, verb: str, expected: set[str]) -> None:
    """Compare a listing with the ids that this client may see."""
    answer = client.open(path, method=verb)
    assert answer.status_code == 200
    assert answer.headers["X-Paging-Count"] == str(len(expected))
    assert "Link" not in answer.headers
    if verb == "GET":
        assert {item["id"] for item in answer.json} == expected


def absent_of(answer: TestResponse) -> str:
    """Return the path of the request that was answered."""
    return answer.request.path


def told(answer: TestResponse, path: str) -> tuple[int, str, dict[str, str]]:
    """Return an answer without the ids that the client sent, and without what differs between any two answers."""
    body = re.sub(r'"(time|request_id)":"[^"]*"', "", answer.text)
    for part in path.partition("?")[0].split("/")[2:]:
        body = body.replace(part, "")
    changing = {"Content-Length", "X-Request-ID", "Date"}
    return answer.status_code, body, {key: value for key, value in answer.headers.items() if key not in changing}


@pytest.mark.parametrize("permission", ["read", "write", "delete"])
def test_a_storage_backend_is_listed_by_its_own_classes(by: Clients, permission: str) -> None:
    client = by(*groups("vault", of=(permission,)))
    shown = [item["id"] for item in client.get("/service/storage-backends").json]
    assert shown == ([OPEN, VAULT] if permission == "read" else [OPEN])
