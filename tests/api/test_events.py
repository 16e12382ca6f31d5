"""Events of changes to Flows and Sources: their types, their order and their bodies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.clock import format_time
from tams.domain.identifiers import new_id
from tams.domain.principals import Principal
from tams.services.deletion import flows as flow_deletion
from tams.services.flows import changes, properties, sources
from tams.services.store import Store
from tests.support.api_steps import allocate, make_flow, record, source_of
from tests.support.flow_documents import Document, get, get_source, multi, put, put_json, put_profile, video
from tests.support.outbox_events import listen, new_event_summaries, new_events


@pytest.fixture(autouse=True)
def _webhook(store: Store) -> None:
    listen(store)


def put_silently(client: FlaskClient, store: Store, document: Document) -> str:
    """Create a Flow and discard its events; return its id."""
    flow_id = put(client, document)
    new_events(store)
    return flow_id


def test_a_new_flow_writes_the_event_of_its_new_source_first(client: FlaskClient, store: Store) -> None:
    document = video(label="x", tags={"auth_classes": ["news", "sport"]})
    flow_id, source_id = put(client, document), document["source_id"]
    source, flow = new_events(store)
    assert (source.type, source.source_id, source.flow_id) == ("sources/created", source_id, None)
    assert source.body == {"source": get_source(client, source_id)}
    assert (flow.type, flow.source_id, flow.flow_id) == ("flows/created", source_id, flow_id)
    assert flow.body == {"flow": get(client, flow_id)}
    assert flow.classes == source.classes == ("news", "sport")
    assert (flow.flow_collected_by, flow.source_collected_by, source.source_collected_by) == ((), (), ())
    assert format_time(flow.created) == format_time(source.created) == get(client, flow_id)["created"]


def test_a_new_flow_of_an_existing_source_is_one_event(client: FlaskClient, store: Store) -> None:
    first = video()
    put_silently(client, store, first)
    second = put(client, video(source_id=first["source_id"]))
    answer = client.post("/flows", json=video(source_id=first["source_id"]))
    assert new_event_summaries(store) == [("flows/created", second), ("flows/created", answer.json["id"])]


def test_a_declared_source_is_an_event(client: FlaskClient, store: Store) -> None:
    document = {"format": "urn:x-nmos:format:video", "tags": {"auth_classes": "news"}}
    source_id = client.post("/sources", json=document).json["id"]
    (event,) = new_events(store)
    assert (event.type, event.source_id, event.classes) == ("sources/created", source_id, ("news",))
    assert event.body == {"source": get_source(client, source_id)}


def test_replacing_a_flow_is_an_update(client: FlaskClient, store: Store) -> None:
    document = video()
    flow_id = put_silently(client, store, document)
    put(client, {**document, "label": "new"})
    (event,) = new_events(store)
    assert (event.type, event.body) == ("flows/updated", {"flow": get(client, flow_id)})
    assert format_time(event.created) == get(client, flow_id)["metadata_updated"]


FLOW_PROPERTIES: dict[str, Any] = {
    "label": "x",
    "description": "x",
    "tags/colour": "red",
    "read_only": True,
    "max_bit_rate": 5,
    "avg_bit_rate": 5,
    "flow_collection": [],
}


@pytest.mark.parametrize("name", FLOW_PROPERTIES)
def test_each_property_of_a_flow_is_an_update(client: FlaskClient, store: Store, name: str) -> None:
    flow_id = put_silently(client, store, video())
    path = f"/flows/{flow_id}/{name}"
    assert put_json(client, path, FLOW_PROPERTIES[name]).status_code == 204
    (event,) = new_events(store)
    assert (event.type, event.body) == ("flows/updated", {"flow": get(client, flow_id)})
    if name == "read_only":
        assert put_json(client, path, False).status_code == 204
    else:
        assert client.delete(path).status_code == 204
    assert new_event_summaries(store) == [("flows/updated", flow_id)]
    if name not in ("read_only", "tags/colour"):
        assert client.delete(path).status_code == 204
        assert new_events(store) == []


@pytest.mark.parametrize("name", ["label", "description", "tags/colour"])
def test_each_property_of_a_source_is_an_update(client: FlaskClient, store: Store, name: str) -> None:
    source_id = source_of(client, put_silently(client, store, video()))
    path = f"/sources/{source_id}/{name}"
    assert put_json(client, path, "x").status_code == 204
    (event,) = new_events(store)
    assert (event.type, event.source_id, event.flow_id) == ("sources/updated", source_id, None)
    assert event.body == {"source": get_source(client, source_id)}
    assert client.delete(path).status_code == 204
    assert new_event_summaries(store) == [("sources/updated", source_id)]
    client.delete(path)
    assert new_events(store) == []


def test_moving_a_flow_may_create_one_source_and_delete_another(client: FlaskClient, store: Store) -> None:
    document, source_id = video(), new_id()
    flow_id = put_silently(client, store, document)
    put(client, {**document, "source_id": source_id})
    created, updated, deleted = new_events(store)
    assert (created.type, created.source_id) == ("sources/created", source_id)
    assert (updated.type, updated.flow_id, updated.source_id) == ("flows/updated", flow_id, source_id)
    assert (deleted.type, deleted.source_id) == ("sources/deleted", document["source_id"])
    assert deleted.body == {"source_id": document["source_id"]}


def test_changes_derived_from_a_collection_are_not_separate_events(client: FlaskClient, store: Store) -> None:
    member, collector = video(), multi()
    put_silently(client, store, member)
    put_silently(client, store, collector)
    put(client, {**collector, "flow_collection": [{"id": member["id"]}]})
    assert new_event_summaries(store) == [("flows/updated", collector["id"])]
    put(client, {**member, "label": "x"})
    client.put(f"/sources/{member['source_id']}/label", json="x")
    flow, source = new_events(store)
    assert flow.flow_collected_by == (collector["id"],)
    assert flow.source_collected_by == source.source_collected_by == (collector["source_id"],)
    assert flow.body["flow"]["collected_by"] == [collector["id"]]
    assert source.body["source"]["collected_by"] == [collector["source_id"]]
    client.delete(f"/flows/{collector['id']}/flow_collection")
    put(client, {**member, "label": "y"})
    assert [event.source_collected_by for event in new_events(store)] == [(), ()]


def test_the_event_of_a_members_new_source_names_its_collectors(client: FlaskClient, store: Store) -> None:
    member = video()
    put(client, member)
    collector = multi(member["id"])
    put(client, collector)
    new_events(store)
    put(client, {**member, "source_id": new_id()})
    created, updated, deleted = new_events(store)
    assert [event.source_collected_by for event in (created, updated, deleted)] == [(collector["source_id"],)] * 2 + [
        ()
    ]
    assert created.body["source"]["collected_by"] == [collector["source_id"]]


def test_a_deleted_flow_is_an_event_and_so_are_its_source_and_its_collectors(client: FlaskClient, store: Store) -> None:
    member, other = video(), video()
    put(client, other)
    put(client, member)
    collector = multi(member["id"], other["id"])
    put(client, collector)
    new_events(store)
    assert client.delete(f"/flows/{member['id']}").status_code == 204
    deleted, source, updated = new_events(store)
    assert (deleted.type, deleted.flow_id, deleted.body) == ("flows/deleted", member["id"], {"flow_id": member["id"]})
    assert deleted.flow_collected_by == (collector["id"],)
    assert deleted.source_collected_by == source.source_collected_by == (collector["source_id"],)
    assert (source.type, source.source_id) == ("sources/deleted", member["source_id"])
    assert (updated.type, updated.body) == ("flows/updated", {"flow": get(client, collector["id"])})
    assert updated.body["flow"]["flow_collection"] == [{"id": other["id"]}]


def test_a_deleted_collector_is_one_event(client: FlaskClient, store: Store) -> None:
    member = video()
    put(client, member)
    collector = multi(member["id"])
    put_silently(client, store, collector)
    client.delete(f"/flows/{collector['id']}")
    assert new_event_summaries(store) == [
        ("flows/deleted", collector["id"]),
        ("sources/deleted", collector["source_id"]),
    ]


def test_the_event_of_a_deleted_source_follows_those_of_its_flows(client: FlaskClient, store: Store) -> None:
    source_id = client.post("/sources", json={"format": "urn:x-nmos:format:video"}).json["id"]
    ids = [put(client, video(source_id=source_id)) for _ in range(2)]
    new_events(store)
    assert client.delete(f"/sources/{source_id}?cascade=true").status_code == 200
    outline = new_event_summaries(store)
    assert sorted(outline[:2]) == sorted(("flows/deleted", flow_id) for flow_id in ids)
    assert outline[2:] == [("sources/deleted", source_id)]


def test_a_deleted_source_without_flows_is_an_event(client: FlaskClient, store: Store) -> None:
    source_id = client.post("/sources", json={"format": "urn:x-nmos:format:video"}).json["id"]
    new_events(store)
    assert client.delete(f"/sources/{source_id}").status_code == 204
    assert new_event_summaries(store) == [("sources/deleted", source_id)]


def test_a_refused_change_writes_no_event(client: FlaskClient, store: Store) -> None:
    document = video()
    flow_id = put(client, document)
    collector = put(client, multi(flow_id))
    client.put(f"/flows/{collector}/read_only", json=True)
    new_events(store)
    source = f"/sources/{document['source_id']}"
    for answer, status in [
        (client.put(f"/flows/{flow_id}", json={**document, "format": "urn:x-nmos:format:audio"}), 400),
        (client.put(f"/flows/{flow_id}", json={**document, "flow_collection": [{"id": collector}]}), 400),
        (client.put(f"/flows/{new_id()}", json=video()), 400),
        (client.post("/flows", json=document), 409),
        (client.put(f"/flows/{collector}/label", json="x"), 403),
        (client.delete(f"/flows/{flow_id}"), 403),
        (client.delete(f"/flows/{flow_id}?cascade=false"), 409),
        (client.delete(f"/flows/{flow_id}/tags/none"), 404),
        (client.delete(source), 409),
        (client.put(f"{source}/label", json=5), 400),
        (client.delete(f"{source}/tags/none"), 404),
        (client.delete(f"/flows/{new_id()}"), 404),
        (client.post("/sources", json={"id": document["source_id"], "format": document["format"]}), 409),
    ]:
        assert answer.status_code == status, answer.text
    assert new_events(store) == []


def test_changes_of_other_resources_write_no_event(client: FlaskClient, store: Store) -> None:
    flow_id = make_flow(client)
    new_events(store)
    (object_id,) = allocate(client, flow_id)
    assert client.delete(f"/objects/{object_id}").status_code == 204
    put_profile(client)
    client.post("/service", json={"name": "x"})
    assert new_events(store) == []


class TestWithoutAWebhook:
    """A store without webhooks."""

    @pytest.fixture(autouse=True)
    def _webhook(self) -> None:
        """Register no webhook."""

    def test_no_event_is_written(self, client: FlaskClient, store: Store) -> None:
        flow_id = make_flow(client)
        record(client, flow_id, 3)
        client.put(f"/flows/{flow_id}/label", json="x")
        client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_1:0)")
        client.delete(f"/flows/{flow_id}")
        assert new_events(store) == []

    def test_a_webhook_gets_no_events_from_before_it_was_registered(self, client: FlaskClient, store: Store) -> None:
        flow_id = make_flow(client)
        listen(store)
        client.put(f"/flows/{flow_id}/label", json="x")
        assert new_event_summaries(store) == [("flows/updated", flow_id)]


def test_events_of_a_flow_come_in_the_order_of_its_changes_whatever_the_clocks_say(store: Store) -> None:
    moments = iter([1000, 990, 990, 10, 500, 3, 3, 3, 3, 3])
    odd = replace(store, now=lambda: next(moments))
    alice = Principal("alice")
    document = {**video(), "tags": {}}
    flow_id = document["id"]
    changes.create(odd, document, alice)
    properties.set_property(odd, flow_id, "label", "x", alice)
    sources.set_property(odd, document["source_id"], "label", "x", alice)
    changes.put(odd, flow_id, document, alice)
    flow_deletion.delete_flow(odd, flow_id, cascade=None, principal=alice)
    events = new_events(store)
    of_flow = [event.type for event in events if event.flow_id]
    assert of_flow == ["flows/created", "flows/updated", "flows/updated", "flows/deleted"]
    assert [event.created for event in events if event.flow_id] == [1000, 1001, 1002, 1003]
    of_source = [(event.type, event.created) for event in events if not event.flow_id]
    assert of_source == [("sources/created", 1000), ("sources/updated", 1001), ("sources/deleted", 1002)]
