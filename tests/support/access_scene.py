"""One resource of each kind, in an access class, and a request for each operation on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tams.domain.identifiers import new_id
from tams.domain.webhooks import EVENT_TYPES
from tests.support.api_steps import make_flow, register

TYPE = "application/octet-stream"
HOOK = "https://8.8.8.8/hook"


@dataclass
class Scene:
    """Resources in the access classes, each created when first used. The Source is declared and has no Flow."""

    admin: FlaskClient
    classes: str | list[str] = "news"

    @property
    def tags(self) -> dict[str, Any]:
        """Return the tags of every resource of the scene."""
        return {"auth_classes": self.classes, "colour": "red"}

    @cached_property
    def source_id(self) -> str:
        source_id = new_id()
        body = {
            "id": source_id,
            "format": "urn:x-nmos:format:data",
            "tags": self.tags,
            "label": "l",
            "description": "d",
        }
        assert self.admin.post("/sources", json=body).status_code == 201
        return source_id

    @cached_property
    def flow_id(self) -> str:
        return make_flow(
            self.admin, tags=self.tags, label="l", description="d", max_bit_rate=5, avg_bit_rate=5, flow_collection=[]
        )

    @cached_property
    def object_id(self) -> str:
        """Return an Object that is registered in the Flow and has an uncontrolled instance."""
        register(self.admin, self.flow_id, object_id := self.allocated[0], "[0:0_1:0)", get_urls=[])
        body = {"url": "https://example.com/x", "label": "outside"}
        assert self.admin.post(f"/objects/{object_id}/instances", json=body).status_code == 201
        return object_id

    @cached_property
    def allocated(self) -> tuple[str, str]:
        """Allocate an Object without registering it; return its id and its path without a signature."""
        answer = self.admin.post(f"/flows/{self.flow_id}/storage", json={"limit": 1, "presigned": False})
        (item,) = answer.json["media_objects"]
        return item["object_id"], item["put_url"]["url"].removeprefix("http://localhost")

    @cached_property
    def stored_url(self) -> str:
        """Upload and register an Object; return its path without a signature."""
        url = self.allocated[1]
        assert self.admin.put(url, data=b"media", headers={"Content-Type": TYPE}).status_code == 200
        assert self.object_id
        return url.partition("?")[0]

    @cached_property
    def webhook_id(self) -> str:
        body = {"url": HOOK, "events": ["flows/created"], "tags": self.tags}
        return str(self.admin.post("/service/webhooks", json=body).json["id"])

    @cached_property
    def request_id(self) -> str:
        """Create a Flow delete request. The store's inline limit is 1 Segment."""
        flow_id = make_flow(self.admin, tags=self.tags)
        items = self.admin.post(f"/flows/{flow_id}/storage", json={"limit": 2}).json["media_objects"]
        for number, item in enumerate(items):
            register(self.admin, flow_id, item["object_id"], f"[{number}:0_{number + 1}:0)")
        answer = self.admin.delete(f"/flows/{flow_id}")
        assert answer.status_code == 202
        return str(answer.json["id"])

    def flow(self, **changed: Any) -> dict[str, Any]:
        """Return the document of a new Flow."""
        return {
            "id": new_id(),
            "source_id": new_id(),
            "format": "urn:x-nmos:format:data",
            "codec": TYPE,
            "container": TYPE,
            "essence_parameters": {},
            "tags": self.tags,
            **changed,
        }


Call = tuple[str, dict[str, Any]]
"""The path of a request, and the keyword arguments of the test client."""


def _property_call(verb: str, path: Callable[[Scene], str], value: object) -> Callable[[Scene], Call]:
    return lambda scene: (path(scene), {"json": value} if verb == "PUT" else {})


def _source_property(verb: str, name: str) -> Callable[[Scene], Call]:
    return _property_call(verb, lambda scene: f"/sources/{scene.source_id}/{name}", "new")


def _flow_property(verb: str, name: str, value: object) -> Callable[[Scene], Call]:
    return _property_call(verb, lambda scene: f"/flows/{scene.flow_id}/{name}", value)


REQUESTS: dict[str, Callable[[Scene], Call]] = {
    "GET /service/storage-backends": lambda scene: ("/service/storage-backends", {}),
    "GET /service/webhooks": lambda scene: ("/service/webhooks", {}),
    "POST /service/webhooks": lambda scene: (
        "/service/webhooks",
        {"json": {"url": HOOK, "events": ["flows/created"], "tags": scene.tags}},
    ),
    "GET /service/webhooks/{webhook_id}": lambda scene: (f"/service/webhooks/{scene.webhook_id}", {}),
    "PUT /service/webhooks/{webhook_id}": lambda scene: (
        f"/service/webhooks/{scene.webhook_id}",
        {"json": {"id": scene.webhook_id, "url": HOOK, "events": [], "status": "disabled", "tags": scene.tags}},
    ),
    "DELETE /service/webhooks/{webhook_id}": lambda scene: (f"/service/webhooks/{scene.webhook_id}", {}),
    "GET /sources": lambda scene: ("/sources", {}),
    "POST /sources": lambda scene: ("/sources", {"json": {"format": "urn:x-nmos:format:data", "tags": scene.tags}}),
    "GET /sources/{source_id}": lambda scene: (f"/sources/{scene.source_id}", {}),
    "DELETE /sources/{source_id}": lambda scene: (f"/sources/{scene.source_id}", {}),
    "GET /sources/{source_id}/tags": lambda scene: (f"/sources/{scene.source_id}/tags", {}),
    **{
        f"{verb} /sources/{{source_id}}/{template}": _source_property(verb, path)
        for template, path in (("tags/{name}", "tags/colour"), ("description", "description"), ("label", "label"))
        for verb in ("GET", "PUT", "DELETE")
    },
    "GET /flows": lambda scene: ("/flows", {}),
    "POST /flows": lambda scene: ("/flows", {"json": scene.flow()}),
    "GET /flows/{flow_id}": lambda scene: (f"/flows/{scene.flow_id}", {}),
    "PUT /flows/{flow_id}": lambda scene: (
        f"/flows/{scene.flow_id}",
        {"json": {**scene.admin.get(f"/flows/{scene.flow_id}").json, "label": "new"}},
    ),
    "DELETE /flows/{flow_id}": lambda scene: (f"/flows/{scene.flow_id}", {}),
    "GET /flows/{flow_id}/tags": lambda scene: (f"/flows/{scene.flow_id}/tags", {}),
    **{
        f"{verb} /flows/{{flow_id}}/{template}": _flow_property(verb, path, value)
        for template, path, value in (
            ("tags/{name}", "tags/colour", "blue"),
            ("description", "description", "new"),
            ("label", "label", "new"),
            ("read_only", "read_only", False),
            ("flow_collection", "flow_collection", []),
            ("max_bit_rate", "max_bit_rate", 7),
            ("avg_bit_rate", "avg_bit_rate", 7),
        )
        for verb in ("GET", "PUT", "DELETE")
        if (verb, path) != ("DELETE", "read_only")
    },
    "GET /flows/{flow_id}/segments": lambda scene: (f"/flows/{scene.flow_id}/segments", {}),
    "POST /flows/{flow_id}/segments": lambda scene: (
        f"/flows/{scene.flow_id}/segments",
        {"json": {"object_id": scene.allocated[0], "timerange": "[0:0_1:0)"}},
    ),
    "DELETE /flows/{flow_id}/segments": lambda scene: (f"/flows/{scene.flow_id}/segments", {}),
    "POST /flows/{flow_id}/storage": lambda scene: (f"/flows/{scene.flow_id}/storage", {"json": {"limit": 1}}),
    "GET /objects/{object_id}": lambda scene: (f"/objects/{scene.object_id}", {}),
    "DELETE /objects/{object_id}": lambda scene: (f"/objects/{scene.object_id}?cascade=true", {}),
    "POST /objects/{object_id}/instances": lambda scene: (
        f"/objects/{scene.object_id}/instances",
        {"json": {"url": "https://example.com/y", "label": "another"}},
    ),
    "DELETE /objects/{object_id}/instances": lambda scene: (f"/objects/{scene.object_id}/instances?label=outside", {}),
    "GET /flow-delete-requests/{request_id}": lambda scene: (f"/flow-delete-requests/{scene.request_id}", {}),
    "GET /storage/{storage_id}/{key}": lambda scene: (scene.stored_url, {}),
    "PUT /storage/{storage_id}/{key}": lambda scene: (
        scene.allocated[1],
        {"data": b"media", "headers": {"Content-Type": TYPE}},
    ),
}
"""By operation: a request that succeeds if the client has the permission."""


def absent(path: str) -> str:
    """Replace the id in the path with one that does not exist."""
    parts = path.split("/")
    place = {"service": 3, "storage": 4}.get(parts[1], 2)
    query = parts[place].partition("?")[1:]
    parts[place] = (new_id() if parts[1] != "storage" else "f" * 37) + "".join(query)
    return "/".join(parts)


def put_flow(client: FlaskClient, document: dict[str, Any]) -> TestResponse:
    """PUT a Flow under its id; return the response."""
    return client.put(f"/flows/{document['id']}", json=document)


def register_webhook(client: FlaskClient, **more: Any) -> str:
    """Register a webhook for every type of event; return its id."""
    answer = client.post("/service/webhooks", json={"url": HOOK, "events": list(EVENT_TYPES), **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])
