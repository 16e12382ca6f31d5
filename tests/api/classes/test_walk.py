"""Random stores of mixed classes, and a client that tries everything: nothing hidden leaks, nothing visible is missing.

In each store a client sends every request about every id, follows all pages, provokes errors, and receives every event.
"""

from __future__ import annotations

import itertools
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tams.api.context import STORE
from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.domain.principals import SCOPES
from tams.domain.webhooks import EVENT_TYPES
from tams.services.rendering.events import event_json
from tams.services.store import Store
from tams.services.webhooks import webhooks
from tams.worker.fan_out import fan_out
from tests.support.access_clients import OPEN, VAULT, Clients, groups, with_classes
from tests.support.access_scene import HOOK
from tests.support.api_steps import allocate, make_flow, register
from tests.support.applications import KEY, NewEnvironment, serving
from tests.support.hypothesis_profiles import examples

MINE = "news"
PLACES = st.lists(st.sampled_from(["news", "drama", "sport"]), unique=True, max_size=2)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class FlowPlan:
    """A Flow: its classes, its Source (a number, or -1 for a new one), and the earlier Flows that it collects."""

    classes: list[str]
    source: int
    members: list[int]


@dataclass(frozen=True)
class ObjectPlan:
    """An Object: the Flows that use it, the first one first, and the backend that it is in."""

    users: list[int]
    backend: str


@dataclass(frozen=True)
class WebhookPlan:
    """A webhook of admin: its classes, and the Flows that it is limited to."""

    classes: list[str]
    flows: list[int]


@dataclass(frozen=True)
class Plan:
    """A whole store."""

    sources: list[list[str]]
    flows: list[FlowPlan]
    objects: list[ObjectPlan]
    webhooks: list[WebhookPlan]
    deleted: list[str]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    sources = draw(st.lists(PLACES, max_size=2))
    count = draw(st.integers(2, 6))
    flows = [
        FlowPlan(
            draw(PLACES),
            draw(st.integers(-1, len(sources) - 1)),
            draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else [],
        )
        for number in range(count)
    ]
    some = st.lists(st.integers(0, count - 1), unique=True, min_size=1, max_size=3)
    objects = draw(st.lists(st.builds(ObjectPlan, some, st.sampled_from([OPEN, VAULT])), max_size=3))
    hooks = draw(st.lists(st.builds(WebhookPlan, PLACES, some), max_size=2))
    return Plan(sources, flows, objects, hooks, draw(PLACES))


@dataclass
class World:
    """The resources that admin made from a plan: their classes, or an Object's Flows, by id."""

    admin: FlaskClient
    flows: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    objects: dict[str, list[str]] = field(default_factory=dict)
    webhooks: dict[str, list[str]] = field(default_factory=dict)
    requests: dict[str, list[str]] = field(default_factory=dict)
    allocated: tuple[str, str] = ("", "")
    """An Object that is not registered, and the Flow that it was allocated to."""

    def visible(self) -> dict[str, set[str]]:
        """Return the ids that a reader of `MINE` may see, by kind. An Object is visible through its Flows."""
        found = {
            kind: {each for each, classes in getattr(self, kind).items() if MINE in classes}
            for kind in ("flows", "sources", "webhooks", "requests")
        }
        found["objects"] = {each for each, users in self.objects.items() if found["flows"] & set(users)}
        return found


def build(admin: FlaskClient, plan: Plan) -> World:
    world = World(admin)
    sources = []
    for classes in plan.sources:
        sources.append(source_id := new_id())
        body = {"id": source_id, "format": "urn:x-nmos:format:data", "tags": {"auth_classes": classes}}
        assert admin.post("/sources", json=body).status_code == 201
        world.sources[source_id] = classes
    made: list[str] = []
    for planned in plan.flows:
        source_id = new_id() if planned.source < 0 else sources[planned.source]
        # A collection that contradicts another Flow of the Source is refused; then the Flow collects nothing.
        collection = [{"id": made[number]} for number in planned.members]
        tags = {"auth_classes": planned.classes, "x": "y"}
        flow_id = make_flow(admin, source_id=source_id, tags=tags)
        if admin.put(f"/flows/{flow_id}/flow_collection", json=collection).status_code != 204:
            assert admin.get(f"/flows/{flow_id}/flow_collection").json == []
        made.append(flow_id)
        # A Flow without classes takes those of its Source.
        world.flows[flow_id] = admin.get(f"/flows/{flow_id}").json["tags"]["auth_classes"]
        world.sources.setdefault(source_id, planned.classes)
    for number, wanted in enumerate(plan.objects):
        asked = {"storage_id": wanted.backend, "limit": 1}
        (item,) = admin.post(f"/flows/{made[wanted.users[0]]}/storage", json=asked).json["media_objects"]
        for user in wanted.users:
            register(admin, made[user], item["object_id"], f"[{number}:0_{number + 1}:0)")
        world.objects[item["object_id"]] = [made[user] for user in wanted.users]
    world.allocated = allocate(admin, made[0])[0], made[0]
    world.objects[world.allocated[0]] = []
    for hook in plan.webhooks:
        body = {
            "url": HOOK,
            "events": [],
            "tags": {"auth_classes": hook.classes},
            "flow_ids": [made[number] for number in hook.flows],
        }
        world.webhooks[admin.post("/service/webhooks", json=body).json["id"]] = hook.classes
    doomed = make_flow(admin, tags={"auth_classes": plan.deleted})
    for number, object_id in enumerate(allocate(admin, doomed, 2)):
        register(admin, doomed, object_id, f"[{number}:0_{number + 1}:0)")
    world.requests[admin.delete(f"/flows/{doomed}").json["id"]] = plan.deleted
    return world


class Walk:
    """A client that searches every response for ids that are hidden from it."""

    def __init__(self, client: FlaskClient, hidden: set[str]) -> None:
        self._client = client
        self._hidden = hidden
        self.asked = 0

    def ask(self, path: str, method: str = "GET", **sent: Any) -> TestResponse:
        """Send a request and check the response; for a GET, also that HEAD has the same status and no body."""
        answer = self._client.open(path, method=method, **sent)
        self.asked += 1
        given = set(UUID.findall(f"{path} {sent}")) | {each for each in self._hidden if each in f"{path} {sent}"}
        self.look(answer, given)
        assert answer.status_code < 500, (method, path)
        if method == "GET":
            head = self._client.head(path)
            self.look(head, given)
            assert (head.status_code, head.data) == (answer.status_code, b"")
        return answer

    def look(self, answer: TestResponse, given: set[str]) -> None:
        parts = [answer.text, *(f"{name}: {value}" for name, value in answer.headers.items())]
        if "X-Paging-NextKey" in answer.headers:
            cursor = answer.headers["X-Paging-NextKey"].partition(".")[0]
            parts.append(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
        self.refuse_hidden("\n".join(parts), given, answer.request.path)

    def refuse_hidden(self, text: str, given: set[str], where: str) -> None:
        leaked = [each for each in self._hidden - given if each in text]
        assert not leaked, (where, leaked, text)

    def pages(self, path: str, limit: int) -> list[Any]:
        """Return all items of a listing; check that every page but the last is full."""
        items: list[Any] = []
        url: str | None = f"{path}{'&' if '?' in path else '?'}limit={limit}"
        while url is not None:
            answer = self.ask(url)
            assert answer.status_code == 200
            items += answer.json
            link = answer.headers.get("Link")
            assert link is None or len(answer.json) == limit
            url = None if link is None else link.partition(">")[0].removeprefix("<http://localhost")
        return items


def as_seen(document: dict[str, Any], readable: set[str]) -> dict[str, Any]:
    """Return the part of admin's document that a reader should see."""
    seen = dict(document)
    for name in ("flow_collection", "source_collection"):
        if seen.get(name):
            seen[name] = [item for item in seen[name] if item["id"] in readable]
    if "collected_by" in seen:
        seen["collected_by"] = [each for each in seen["collected_by"] if each in readable]
    return {
        name: value
        for name, value in seen.items()
        if value or name not in {"flow_collection", "source_collection", "collected_by"} or document[name] == []
    }


def read_everything(world: World, walk: Walk, visible: dict[str, set[str]], own_webhook: str) -> None:
    """Send every GET for every id, and compare the responses with those to admin."""
    admin = world.admin
    for kind, limit in itertools.product(("flows", "sources"), (1, 2, 1000)):
        whole = {each["id"]: each for each in admin.get(f"/{kind}?limit=1000").json}
        found = walk.pages(f"/{kind}", limit)
        assert [each["id"] for each in found] == [each for each in whole if each in visible[kind]]
        for each in found:
            assert each == as_seen(whole[each["id"]], visible[kind]) == walk.ask(f"/{kind}/{each['id']}").json
        top = {each for each in visible[kind] if "collected_by" not in as_seen(whole[each], visible[kind])}
        assert {each["id"] for each in walk.pages(f"/{kind}?collected_by_ids=", limit)} == top
        for each, classes in getattr(world, kind).items():
            collected = {
                other for other in visible[kind] if each in as_seen(whole[other], visible[kind]).get("collected_by", [])
            }
            assert {one["id"] for one in walk.pages(f"/{kind}?collected_by_ids={each}", limit)} == collected
            for name in ("tags", "tags/x", "label", "description"):
                status = walk.ask(f"/{kind}/{each}/{name}").status_code
                assert (status == 404) if MINE not in classes else status in {200, 404}
    for source_id in world.sources:
        of_source = {each["id"] for each in admin.get(f"/flows?source_id={source_id}").json} & visible["flows"]
        assert {each["id"] for each in walk.ask(f"/flows?source_id={source_id}").json} == of_source
    for flow_id, classes in world.flows.items():
        for name in ("read_only", "flow_collection", "max_bit_rate", "avg_bit_rate"):
            assert walk.ask(f"/flows/{flow_id}/{name}").status_code == 404 or MINE in classes
        segments = admin.get(f"/flows/{flow_id}/segments").json
        seen = walk.pages(f"/flows/{flow_id}/segments", 1)
        expected = segments if MINE in classes else []
        assert [each["object_id"] for each in seen] == [each["object_id"] for each in expected]
        for one, whole_one in zip(seen, expected, strict=True):
            assert one["get_urls"] == [url for url in whole_one["get_urls"] if url["label"] != "vault"] or (
                [url["label"] for url in one["get_urls"]]
                == [url["label"] for url in whole_one["get_urls"] if url["label"] != "vault"]
            )
        for object_id in world.objects:
            walk.ask(f"/flows/{flow_id}/segments?object_id={object_id}")
    for object_id, users in world.objects.items():
        readers = sorted(set(users) & visible["flows"])
        answer = walk.ask(f"/objects/{object_id}")
        assert answer.status_code == (200 if readers else 404)
        if readers:
            assert answer.json["referenced_by_flows"] == readers
            first = users[0] if users[0] in visible["flows"] else None
            assert answer.json.get("first_referenced_by_flow") == first
        for query in ("flow_tag.auth_classes=drama", "flow_tag.x=y", "flow_tag_exists.x=false", "limit=1"):
            walk.ask(f"/objects/{object_id}?{query}")
    shown = {each["id"] for each in walk.pages("/service/webhooks", 1)}
    assert shown == visible["webhooks"] | {own_webhook}
    for webhook_id in world.webhooks:
        assert (walk.ask(f"/service/webhooks/{webhook_id}").status_code == 200) is (webhook_id in shown)
    assert [each["id"] for each in walk.pages("/service/storage-backends", 1)] == [OPEN]
    for request_id in world.requests:
        # Reading a delete request needs delete.
        known = request_id in visible["requests"]
        assert walk.ask(f"/flow-delete-requests/{request_id}").status_code == (403 if known else 404)
    assert walk.ask("/flow-delete-requests").status_code == 403


def change_everything(world: World, walk: Walk) -> None:
    """Send every changing request, allowed or not, and search the responses for hidden ids."""
    everything = [*world.flows, *world.sources, *world.objects, *world.webhooks, VAULT, new_id()]
    for flow_id in world.flows:
        for member in world.flows:
            walk.ask(f"/flows/{flow_id}/flow_collection", "PUT", json=[{"id": member}])
        walk.ask(f"/flows/{flow_id}/flow_collection", "PUT", json=[{"id": each} for each in world.flows])
        walk.ask(f"/flows/{flow_id}/tags/auth_classes", "PUT", json=["drama"])
        walk.ask(f"/flows/{flow_id}/storage", "POST", json={"object_ids": list(world.objects)})
        walk.ask(f"/flows/{flow_id}/storage", "POST", json={"storage_id": VAULT})
        items = [{"object_id": each, "timerange": "[50:0_51:0)"} for each in world.objects]
        walk.ask(f"/flows/{flow_id}/segments", "POST", json=items)
        seen = walk.ask(f"/flows/{flow_id}")
        if seen.status_code == 200:
            for source_id in world.sources:
                walk.ask(f"/flows/{flow_id}", "PUT", json={**seen.json, "source_id": source_id})
    for each in everything:
        for name in ("flow_ids", "source_ids", "flow_collected_by_ids", "source_collected_by_ids"):
            body = {"url": HOOK, "events": [], name: [each]}
            if UUID.fullmatch(each):
                walk.ask("/service/webhooks", "POST", json=body)
    for object_id in world.objects:
        walk.ask(f"/objects/{object_id}/instances", "POST", json={"storage_id": OPEN})
        walk.ask(f"/objects/{object_id}/instances", "POST", json={"storage_id": VAULT})
        walk.ask(f"/objects/{object_id}/instances?label=vault", "DELETE")
        walk.ask(f"/objects/{object_id}/instances?label=open", "DELETE")
        walk.ask(f"/objects/{object_id}", "DELETE")
        walk.ask(f"/objects/{object_id}?cascade=true", "DELETE")
    for source_id in world.sources:
        walk.ask(f"/sources/{source_id}", "DELETE")
    for flow_id in world.flows:
        walk.ask(f"/flows/{flow_id}/segments?cascade=false", "DELETE")
        walk.ask(f"/flows/{flow_id}?cascade=false", "DELETE")
    for source_id in world.sources:
        walk.ask(f"/sources/{source_id}?cascade=true", "DELETE")
    for flow_id in world.flows:
        walk.ask(f"/flows/{flow_id}", "DELETE")


def deliveries(store: Store, webhook_id: str) -> Iterator[tuple[str, str, str]]:
    """Yield the type, the subject and the body of each event that waits for the webhook."""
    while fan_out(store):
        pass
    with store.repository.read() as read:
        webhook = webhooks.load(read, webhook_id)
        waiting = read.deliveries(webhook_id, 10_000)
    assert webhook is not None
    for delivery in waiting:
        event = delivery.event
        yield event.type, event.flow_id or event.source_id, event_json(store, event, webhook).decode()


@hypothesis_settings(
    max_examples=examples(8),
    deadline=None,
    # An example takes seconds, and shrinking would repeat them many times.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(plans())
def test_nothing_hidden_leaks_and_nothing_visible_is_missing(new_environment: NewEnvironment, plan: Plan) -> None:
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        plain = Settings.from_env(
            new_environment(), environment="development", data_dir=directory / "data", secret_key=KEY
        )
        settings = with_classes(plain, directory, delete_inline_limit=1)
        for app in serving(settings):
            by, store = Clients(app), app.extensions[STORE]
            reader = by(*groups(MINE, of=("read",)), name="reader")
            body = {"url": HOOK, "events": list(EVENT_TYPES)}
            own = reader.post("/service/webhooks", json=body).json["id"]
            world = build(by(name="admin", scopes=SCOPES), plan)
            visible = world.visible()
            # The Source of a Flow is part of the Flow.
            named = {world.admin.get(f"/flows/{each}").json["source_id"] for each in visible["flows"]}
            hidden = {
                each
                for kind in ("flows", "sources", "objects", "webhooks", "requests")
                for each in getattr(world, kind).keys() - visible[kind] - named
            } | {VAULT}
            walk = Walk(reader, hidden)
            read_everything(world, walk, visible, own)
            change_everything(world, walk)
            sent = list(deliveries(store, own))
            for _, subject, text in sent:
                walk.refuse_hidden(text, set(), subject)
            for kind in ("flows/created", "sources/created"):
                subjects = {subject for event, subject, _ in sent if event == kind}
                made = visible[kind.partition("/")[0]]
                assert made <= subjects
                # The deleted Flow of those classes, and its Source, are in the events too.
                assert len(subjects - made) == (1 if MINE in plan.deleted else 0)
            with_content = {user for users in world.objects.values() for user in users} & visible["flows"]
            assert with_content <= {each for event, each, _ in sent if event == "flows/segments_added"}
            # A reader changed nothing, so an editor finds the same store.
            if world.allocated[1] in visible["flows"]:
                # An Object that is allocated to a Flow may be registered with write on the Flow.
                hidden -= {world.allocated[0]}
            editor = Walk(by(*groups(MINE), name="editor"), hidden)
            change_everything(world, editor)
            for _, about, text in deliveries(store, own):
                walk.refuse_hidden(text, set(), about)
            assert walk.asked > 50
