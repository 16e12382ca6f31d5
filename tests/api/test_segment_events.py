"""Events of Segments: one for the Segments that a request adds, and one for each run that a change removes."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from flask.testing import FlaskClient

from tams.config import Settings
from tams.domain.identifiers import new_id
from tams.services.deletion import delete_requests
from tams.services.outbox import added_segments
from tams.services.store import Store
from tams.worker.deletion import delete_segments
from tests.support.api_steps import SECOND, allocate, make_flow, record, register, reuse, source_of, timeranges
from tests.support.multipart import upload
from tests.support.outbox_events import listen, new_event_summaries, new_events, stored


@pytest.fixture(autouse=True)
def _webhook(store: Store) -> None:
    listen(store)


@pytest.fixture
def flow_id(client: FlaskClient, store: Store) -> str:
    """Create a Flow and discard its events."""
    flow_id = make_flow(client)
    new_events(store)
    return flow_id


def deleted(store: Store) -> list[str]:
    """Return the timeranges of the new events, all of which report deleted Segments."""
    events = new_events(store)
    assert {event.type for event in events} <= {"flows/segments_deleted"}
    assert all(event.body.keys() == {"timerange"} for event in events)
    return [event.body["timerange"] for event in events]


class TestAdding:
    """Events of the type `flows/segments_added`."""

    def test_the_event_of_one_segment_has_its_flow(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        (object_id,) = allocate(client, flow_id)
        collector = make_flow(client, flow_collection=[{"id": flow_id}], format="urn:x-nmos:format:multi")
        new_events(store)
        register(client, flow_id, object_id, "[0:0_1:0)", sample_count=25)
        (event,) = new_events(store)
        with store.repository.read() as read:
            flow = read.flow(flow_id)
        assert flow is not None
        assert (event.type, event.flow_id, event.source_id) == ("flows/segments_added", flow_id, flow.source_id)
        assert event.flow_collected_by == (collector,)
        assert event.source_collected_by == (source_of(client, collector),)
        assert event.body["flow_key"] == flow.flow_key
        assert added_segments(event) == stored(store, flow_id)
        assert event.created == flow.segments_updated

    def test_a_list_is_one_event_without_the_refused_segments(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        ids = allocate(client, flow_id, 3)
        segments = [{"object_id": ids[n], "timerange": SECOND.format(n // 2, n // 2 + 1)} for n in range(3)]
        assert len(client.post(f"/flows/{flow_id}/segments", json=segments).json["failed_segments"]) == 1
        (event,) = new_events(store)
        assert [segment.object_id for segment in added_segments(event)] == [ids[0], ids[2]]

    def test_a_request_that_stores_no_segment_writes_no_event(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        segments = [{"object_id": "unknown", "timerange": SECOND.format(n, n + 1)} for n in range(2)]
        for body, status in (([], 201), (segments, 200), (segments[0], 400), ([{"object_id": 5}], 400)):
            assert client.post(f"/flows/{flow_id}/segments", json=body).status_code == status
        assert client.post(f"/flows/{new_id()}/segments", json=segments).status_code == 404
        client.put(f"/flows/{flow_id}/read_only", json=True)
        new_events(store)
        assert client.post(f"/flows/{flow_id}/segments", json=segments).status_code == 403
        assert new_events(store) == []

    def test_a_long_list_is_several_events(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        names = [f"{n}" + "\x01é" * 300 for n in range(100)]
        urls = [{"url": "https://example.com/", "label": "away"}]
        segments = [
            {"object_id": name, "timerange": SECOND.format(n, n + 1), "get_urls": urls} for n, name in enumerate(names)
        ]
        assert client.post(f"/flows/{flow_id}/segments", json=segments).status_code == 201
        events = new_events(store)
        assert [event.position for event in events] == [0, 1, 2]
        assert all(50_000 < len(orjson.dumps(event)) < 100_000 for event in events)
        assert [segment for event in events for segment in added_segments(event)] == stored(store, flow_id)

    def test_a_segment_with_its_bytes_is_an_event_once_it_is_stored(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        assert upload(client, flow_id, {"timerange": "[0:0_1:0)"}).status_code == 201
        (event,) = new_events(store)
        assert added_segments(event) == stored(store, flow_id)
        assert upload(client, flow_id, {"timerange": "[0:0_1:0)"}).status_code == 400
        assert new_events(store) == []


class TestDeleting:
    """Events of the type `flows/segments_deleted`."""

    def test_a_range_is_one_run_with_the_ends_of_its_segments(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        record(client, flow_id, 5)
        new_events(store)
        client.delete(f"/flows/{flow_id}/segments?timerange=[1:500000000_4:0)")
        (event,) = new_events(store)
        assert (event.type, event.body) == ("flows/segments_deleted", {"timerange": "[2:0_4:0)"})
        with store.repository.read() as read:
            flow = read.flow(flow_id)
        assert flow is not None
        assert event.created == flow.segments_updated

    def test_gaps_do_not_end_a_run_and_an_inclusive_end_is_kept(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        ids = allocate(client, flow_id, 3)
        for object_id, timerange in zip(ids, ("[0:0_1:0)", "[1:0_2:0)", "[5:0_6:0]"), strict=True):
            register(client, flow_id, object_id, timerange)
        new_events(store)
        client.delete(f"/flows/{flow_id}/segments")
        assert deleted(store) == ["[0:0_6:0]"]

    def test_segments_of_one_object_are_a_run_each_where_others_lie_between(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        (object_id, *_) = record(client, flow_id, 3)
        for n in (3, 4, 9):
            register(client, flow_id, object_id, SECOND.format(n, n + 1), ts_offset=f"{n}:0")
        new_events(store)
        client.delete(f"/flows/{flow_id}/segments?object_id={object_id}")
        assert deleted(store) == ["[0:0_1:0)", "[3:0_10:0)"]

    def test_a_deleted_object_is_an_event_for_each_flow(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        (object_id,) = record(client, flow_id, 1)
        other = make_flow(client)
        reuse(client, other, [object_id])
        new_events(store)
        assert client.delete(f"/objects/{object_id}?cascade=true").status_code == 200
        assert sorted(new_event_summaries(store)) == sorted(
            ("flows/segments_deleted", changed_id) for changed_id in (flow_id, other)
        )

    def test_a_deletion_of_nothing_writes_no_event(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        (object_id,) = record(client, flow_id, 1)
        new_events(store)
        segments = f"/flows/{flow_id}/segments"
        for path, status in [
            (f"{segments}?timerange=()", 204),
            (f"{segments}?timerange=[5:0_", 204),
            (f"{segments}?object_id=other", 204),
            (f"{segments}?cascade=false", 409),
            (f"{segments}?timerange=x", 400),
            (f"/objects/{object_id}", 409),
            (f"/flows/{flow_id}?cascade=false", 409),
        ]:
            assert client.delete(path).status_code == status
        assert new_events(store) == []

    def test_the_segments_of_a_deleted_flow_are_one_run(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        record(client, flow_id, 3)
        record(client, flow_id, 2, start=7)
        source_id = source_of(client, flow_id)
        new_events(store)
        client.delete(f"/flows/{flow_id}")
        segments, *rest = new_events(store)
        assert (segments.type, segments.flow_id, segments.body) == (
            "flows/segments_deleted",
            flow_id,
            {"timerange": "[0:0_9:0)"},
        )
        assert [(event.type, event.source_id) for event in rest] == [
            ("flows/deleted", source_id),
            ("sources/deleted", source_id),
        ]
        assert segments.created == rest[0].created


class TestInTheBackground:
    """Deletions that the worker carries out."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Limit the Segments that a request deletes itself to four."""
        return replace(settings, delete_inline_limit=4)

    def test_each_batch_writes_an_event(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        record(client, flow_id, 12)
        new_events(store)
        answer = client.delete(f"/flows/{flow_id}/segments?timerange=[1:0_")
        assert answer.status_code == 202
        assert deleted(store) == ["[1:0_5:0)"]
        assert delete_requests.advance(store, answer.json["id"], 3)
        assert deleted(store) == ["[5:0_8:0)"]
        assert not delete_requests.advance(store, answer.json["id"], 30)
        assert deleted(store) == ["[8:0_12:0)"]

    def test_a_batch_that_is_refused_writes_no_event(self, client: FlaskClient, store: Store, flow_id: str) -> None:
        objects = record(client, flow_id, 6)
        reuse(client, make_flow(client), objects[:4])
        new_events(store)
        assert client.delete(f"/flows/{flow_id}/segments?cascade=false").status_code == 202
        assert deleted(store) == ["[0:0_4:0)"]
        while delete_segments(store, "worker"):
            pass
        assert new_events(store) == []
        assert timeranges(client, flow_id) == ["[4:0_5:0)", "[5:0_6:0)"]

    def test_the_events_of_a_large_flow_are_written_when_its_deletion_is_accepted(
        self, client: FlaskClient, store: Store, flow_id: str
    ) -> None:
        record(client, flow_id, 10)
        source_id = source_of(client, flow_id)
        new_events(store)
        # An earlier request for a part of the Flow writes no more events either.
        assert client.delete(f"/flows/{flow_id}/segments?timerange=[5:0_").status_code == 202
        assert deleted(store) == ["[5:0_9:0)"]
        assert client.delete(f"/flows/{flow_id}").status_code == 202
        events = new_events(store)
        assert [(event.type, event.source_id) for event in events] == [
            ("flows/segments_deleted", source_id),
            ("flows/deleted", source_id),
            ("sources/deleted", source_id),
        ]
        assert events[0].body == {"timerange": "[0:0_10:0)"}
        make_flow(client, flow_id)
        record(client, flow_id, 2)
        new_events(store)
        while delete_segments(store, "worker"):
            pass
        assert new_events(store) == []
