"""Webhooks with classes: who may read and change them, and which events they receive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.events import Event
from tams.domain.identifiers import new_id
from tams.domain.webhooks import EVENT_TYPES
from tams.repository.port import Write
from tams.services.rendering.events import event_json
from tams.services.store import Store
from tams.services.webhooks import webhooks
from tams.worker.fan_out import fan_out
from tests.support.access_clients import OPEN, VAULT, Clients, groups
from tests.support.access_scene import HOOK, put_flow, register_webhook
from tests.support.api_steps import make_flow, record, register
from tests.support.flow_documents import data, get, multi, put


def sent(store: Store, webhook_id: str) -> list[Event]:
    """Return the events that were queued for the webhook since the last call, and acknowledge them."""
    while fan_out(store):
        pass
    with store.repository.read() as read:
        waiting = read.deliveries(webhook_id, 1000)

    def acknowledge(tx: Write) -> None:
        tx.claim(("document", webhook_id))
        tx.ack(webhook_id, waiting[-1].sequence)

    if waiting:
        store.write(acknowledge)
    return [delivery.event for delivery in waiting]


def subjects(store: Store, webhook_id: str) -> list[tuple[str, str]]:
    """Return the type and the subject of each of these events."""
    return [(event.type, event.flow_id or event.source_id) for event in sent(store, webhook_id)]


class TestShowing:
    def test_a_webhook_is_shown_to_its_owner_to_readers_of_a_class_and_to_admin(
        self, admin: FlaskClient, by: Clients
    ) -> None:
        owner = by(*groups("news"), name="owner")
        plain, classed = register_webhook(owner), register_webhook(owner, tags={"auth_classes": ["news"]})
        theirs = register_webhook(admin, tags={"auth_classes": "drama"})
        shown = {
            "owner": (owner, {plain, classed}),
            "owner without groups": (by(name="owner"), {plain, classed}),
            "reader": (by(*groups("news", of=("read",))), {classed}),
            "reader of both": (by(*groups("news", "drama")), {classed, theirs}),
            "writer": (by(*groups("news", of=("write",))), set()),
            "stranger": (by(), set()),
            "admin": (admin, {plain, classed, theirs}),
        }
        for name, (client, expected) in shown.items():
            assert {each["id"] for each in client.get("/service/webhooks").json} == expected, name
            answer = client.get("/service/webhooks?limit=1")
            assert len(answer.json) == min(1, len(expected))
            assert ("Link" in answer.headers) is (len(expected) > 1), name
            for each in (plain, classed, theirs):
                status = client.get(f"/service/webhooks/{each}").status_code
                known = name == "writer" and each == classed
                assert status == (200 if each in expected else 403 if known else 404), name

    def test_tags_are_shown_and_filtered_as_they_were_written(self, by: Clients) -> None:
        owner = by(*groups("news"), name="owner")
        webhook_id = register_webhook(owner, tags={"auth_classes": "news", "x": "y"})
        assert owner.get(f"/service/webhooks/{webhook_id}").json["tags"] == {"auth_classes": "news", "x": "y"}
        for query, found in (("tag.x=y", 1), ("tag.auth_classes=news", 1), ("tag.x=z", 0), ("tag_exists.x=false", 0)):
            assert len(owner.get(f"/service/webhooks?{query}").json) == found
        assert owner.get("/service/webhooks?tag.%00shown to=owner owner").status_code == 400

    def test_only_the_owner_and_admin_may_change_a_webhook(self, admin: FlaskClient, by: Clients) -> None:
        owner = by(*groups("news"), name="owner")
        webhook_id = register_webhook(owner, tags={"auth_classes": "news"})
        path = f"/service/webhooks/{webhook_id}"
        body = {"id": webhook_id, "url": HOOK, "events": [], "status": "created", "tags": {"auth_classes": "news"}}
        for client, status in ((by(*groups("news"), name="reader"), 403), (by(*groups("drama"), name="other"), 404)):
            assert client.put(path, json=body).status_code == status
            assert client.put(path, json="nonsense").status_code == status
            assert client.delete(path).status_code == status
        assert owner.put(path, json=body).status_code == 201
        assert admin.delete(path).status_code == 204

    def test_hidden_ids_are_not_shown_to_readers(self, admin: FlaskClient, by: Clients) -> None:
        news, drama = (put(admin, data(tags={"auth_classes": each})) for each in ("news", "drama"))
        sources = [get(admin, each)["source_id"] for each in (news, drama)]
        filters = {
            "flow_ids": [news, drama],
            "source_ids": sources,
            "flow_collected_by_ids": [drama],
            "source_collected_by_ids": sources[::-1],
            "accept_storage_ids": [VAULT, OPEN],
            "accept_get_urls": ["vault", "open", "elsewhere"],
        }
        webhook_id = register_webhook(admin, **filters, tags={"auth_classes": "news"})
        reporter = by(*groups("news"))
        (listed,) = reporter.get("/service/webhooks").json
        assert listed == reporter.get(f"/service/webhooks/{webhook_id}").json
        assert {name: listed[name] for name in filters} == {
            "flow_ids": [news],
            "source_ids": sources[:1],
            "flow_collected_by_ids": [],
            "source_collected_by_ids": sources[:1],
            "accept_storage_ids": [OPEN],
            "accept_get_urls": ["open", "elsewhere"],
        }


class TestWriting:
    def test_classes_need_write_on_each(self, admin: FlaskClient, by: Clients) -> None:
        reporter = by(*groups("news"), name="reporter")
        body = {"url": HOOK, "events": [], "tags": {"auth_classes": ["news", "drama"]}}
        assert reporter.post("/service/webhooks", json=body).status_code == 403
        webhook_id = register_webhook(reporter, tags={"auth_classes": "news"})
        put_body = {**body, "id": webhook_id, "status": "created"}
        path = f"/service/webhooks/{webhook_id}"
        assert reporter.put(path, json=put_body).status_code == 403
        assert admin.put(path, json=put_body).status_code == 201
        assert reporter.put(path, json={**put_body, "tags": {"auth_classes": "drama"}}).status_code == 201
        assert reporter.put(path, json={**put_body, "tags": {}}).status_code == 403

    @pytest.mark.parametrize("change", [False, True], ids=["registered", "changed"])
    @pytest.mark.parametrize("name", ["flow_ids", "source_ids", "flow_collected_by_ids", "source_collected_by_ids"])
    def test_filters_by_ids_need_read_on_each(self, admin: FlaskClient, by: Clients, name: str, change: bool) -> None:
        flows = {each: put(admin, data(tags={"auth_classes": each})) for each in ("news", "drama")}
        ids = {each: get(admin, flow)["source_id"] if "source" in name else flow for each, flow in flows.items()}
        client = by(*groups("news"), *groups("drama", of=("write", "delete")), name="owner")
        webhook_id = register_webhook(client)

        def write(*wanted: str) -> tuple[int, Any]:
            body = {"url": HOOK, "events": [], "status": "created", name: list(wanted)}
            path = "/service/webhooks"
            if change:
                answer = client.put(f"{path}/{webhook_id}", json={**body, "id": webhook_id})
            else:
                answer = client.post(path, json=body)
            return answer.status_code, answer.json.get("errors")

        assert write(ids["news"]) == (201, None)
        hidden = write(ids["news"], ids["drama"])
        assert hidden == write(ids["news"], new_id())
        assert hidden[0] == 400
        assert list(hidden[1]) == [f"{name}[1]"]

    def test_filters_by_backends_need_read_on_each(self, by: Clients) -> None:
        body = {"url": HOOK, "events": [], "accept_storage_ids": [OPEN, VAULT]}
        assert by(*groups("news")).post("/service/webhooks", json=body).status_code == 400
        assert by(*groups("vault")).post("/service/webhooks", json=body).status_code == 201


class TestEvents:
    def test_events_are_those_of_classes_that_the_owner_may_read(
        self, admin: FlaskClient, by: Clients, store: Store
    ) -> None:
        reporter = by(*groups("news", of=("read",)), name="reporter")
        mine, all_of_it = register_webhook(reporter), register_webhook(admin)
        flows = {each: make_flow(admin, tags={"auth_classes": each}) for each in ("news", "drama")}
        bare = make_flow(admin)
        for flow_id in (*flows.values(), bare):
            record(admin, flow_id, 2)
            assert admin.put(f"/flows/{flow_id}/label", json="x").status_code == 204
            assert admin.delete(f"/flows/{flow_id}").status_code == 204
        of_news = subjects(store, mine)
        assert [kind for kind, _ in of_news] == [
            "sources/created",
            "flows/created",
            "flows/segments_added",
            "flows/updated",
            "flows/segments_deleted",
            "flows/deleted",
            "sources/deleted",
        ]
        assert {about for kind, about in of_news if kind.startswith("flows")} == {flows["news"]}
        assert len(subjects(store, all_of_it)) == 3 * len(of_news)

    def test_the_classes_at_the_time_of_the_change_count(self, admin: FlaskClient, by: Clients, store: Store) -> None:
        mine = register_webhook(by(*groups("news", of=("read",)), name="reporter"))
        flow_id = make_flow(admin, tags={"auth_classes": "news"})
        assert admin.put(f"/flows/{flow_id}/tags/auth_classes", json="drama").status_code == 204
        assert admin.put(f"/flows/{flow_id}/label", json="x").status_code == 204
        assert admin.put(f"/flows/{flow_id}/tags/auth_classes", json=["drama", "news"]).status_code == 204
        assert [kind for kind, about in subjects(store, mine) if about == flow_id] == ["flows/created", "flows/updated"]

    def test_ids_in_events_are_those_that_the_owner_may_read(
        self, admin: FlaskClient, by: Clients, store: Store
    ) -> None:
        members = [put(admin, data(tags={"auth_classes": each})) for each in ("news", "drama")]
        mine, whole = register_webhook(by(*groups("news"), name="reporter")), register_webhook(admin)
        collector = put(admin, multi(*members, tags={"auth_classes": "news"}))
        hidden = put(admin, multi(members[0], tags={"auth_classes": "drama"}))
        assert admin.put(f"/flows/{members[0]}/label", json="x").status_code == 204
        source = {each: get(admin, each)["source_id"] for each in (*members, collector, hidden)}
        assert admin.put(f"/sources/{source[members[0]]}/label", json="x").status_code == 204
        assert admin.put(f"/sources/{source[collector]}/label", json="x").status_code == 204
        events = sent(store, mine)
        text = repr(events)
        assert not any(each in text for each in (members[1], hidden, source[members[1]], source[hidden]))
        made = next(event for event in events if event.type == "flows/created")
        assert [item["id"] for item in made.body["flow"]["flow_collection"]] == members[:1]
        changed = next(event for event in events if event.type == "flows/updated")
        assert changed.body["flow"]["collected_by"] == [collector] == list(changed.flow_collected_by)
        assert list(changed.source_collected_by) == [source[collector]]
        of_member, of_collector = (event.body["source"] for event in events if event.type == "sources/updated")
        assert of_member["collected_by"] == [source[collector]]
        assert [item["id"] for item in of_collector["source_collection"]] == [source[members[0]]]
        assert hidden in repr(sent(store, whole))

    def test_filters_by_collectors_ignore_hidden_ones(self, admin: FlaskClient, by: Clients, store: Store) -> None:
        member = put(admin, data(tags={"auth_classes": "news"}))
        put(admin, multi(member, tags={"auth_classes": "drama"}))
        mine = register_webhook(by(*groups("news"), name="reporter"), flow_collected_by_ids=[])
        whole = register_webhook(admin, flow_collected_by_ids=[])
        assert admin.put(f"/flows/{member}/label", json="x").status_code == 204
        # No Flow that the owner may read collects it.
        assert subjects(store, mine) == [("flows/updated", member)]
        assert subjects(store, whole) == []

    def test_get_urls_are_those_of_backends_that_the_owner_may_read(
        self, admin: FlaskClient, by: Clients, store: Store
    ) -> None:
        hooks = [
            register_webhook(by(*groups("news"), *more, name="reporter"))
            for more in ([], groups("vault", of=("read",)))
        ]
        flow_id = make_flow(admin, tags={"auth_classes": "news"})
        item = admin.post(f"/flows/{flow_id}/storage", json={"storage_id": VAULT, "limit": 1}).json["media_objects"][0]
        register(admin, flow_id, item["object_id"], "[0:0_1:0)")
        shown = []
        for webhook_id in hooks:
            (event,) = (each for each in sent(store, webhook_id) if each.type == "flows/segments_added")
            with store.repository.read() as read:
                webhook = webhooks.load(read, webhook_id)
            assert webhook is not None
            shown.append(b"/storage/" in event_json(store, event, webhook))
        assert shown == [False, True]

    def test_groups_are_those_of_the_owners_last_write(self, admin: FlaskClient, by: Clients, store: Store) -> None:
        webhook_id = register_webhook(by(*groups("news"), name="owner"))
        body = {"id": webhook_id, "url": HOOK, "events": list(EVENT_TYPES), "status": "created"}
        path = f"/service/webhooks/{webhook_id}"

        def gets() -> set[str]:
            made = {make_flow(admin, tags={"auth_classes": each}): each for each in ("news", "drama")}
            bare = make_flow(admin)
            names = {**made, bare: "no class"}
            return {names[about] for kind, about in subjects(store, webhook_id) if kind == "flows/created"}

        assert gets() == {"news"}
        # A write by admin does not give the owner more than it had.
        assert admin.put(path, json=body).status_code == 201
        assert gets() == {"news"}
        assert by(*groups("drama"), name="owner").put(path, json=body).status_code == 201
        assert gets() == {"drama"}
        assert by(name="owner").put(path, json=body).status_code == 201
        assert gets() == set()
        assert by(name="owner", scopes=("tams-api/read", "tams-api/admin")).put(path, json=body).status_code == 201
        assert gets() == {"news", "drama", "no class"}
        assert by(*groups("news"), name="owner").put(path, json=body).status_code == 201
        assert gets() == {"news"}


class TestDeleteRequests:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, delete_inline_limit=1)

    def test_a_delete_request_keeps_the_classes_of_its_flow(self, admin: FlaskClient, by: Clients) -> None:
        flow_id = make_flow(admin, tags={"auth_classes": "news"})
        record(admin, flow_id, 3)
        deleter = by(*groups("news", of=("delete",)))
        accepted = deleter.delete(f"/flows/{flow_id}")
        assert accepted.status_code == 202
        path = f"/flow-delete-requests/{accepted.json['id']}"
        put_flow(admin, {**data(id=flow_id), "tags": {"auth_classes": "drama"}})
        assert deleter.get(path).status_code == 200
        assert by(*groups("news", of=("read", "write"))).get(path).status_code == 403
        hidden = by(*groups("drama")).get(path)
        absent = by(*groups("drama")).get(f"/flow-delete-requests/{new_id()}")
        assert (hidden.status_code, absent.status_code) == (404, 404)
        assert deleter.get("/flow-delete-requests").status_code == 403
        assert [each["id"] for each in admin.get("/flow-delete-requests").json] == [accepted.json["id"]]
