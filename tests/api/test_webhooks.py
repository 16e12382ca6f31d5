"""`/service/webhooks`: registering, changing, listing. Deliveries are tested in tests/worker and tests/e2e."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tams.domain.events import EventType
from tams.domain.identifiers import new_id
from tams.domain.webhooks import EVENT_TYPES
from tams.services.store import Store
from tams.services.webhooks import webhooks
from tams.services.webhooks.queue import load_queue, waiting
from tams.worker.fan_out import fan_out
from tests.support.api_steps import make_flow

URL = "https://8.8.8.8/hook"
"""A URL with an address instead of a name, so that no name server is needed."""

EVERY: list[EventType] = list(EVENT_TYPES)  # type: ignore[arg-type]


def post(client: FlaskClient, **body: Any) -> dict[str, Any]:
    """Register a webhook and return it."""
    answer = client.post("/service/webhooks", json={"url": URL, "events": EVERY, **body})
    assert answer.status_code == 201, answer.text
    assert answer.json is not None
    return dict(answer.json)


def put(client: FlaskClient, webhook_id: str, **body: Any) -> Any:
    """Change a webhook; return the response."""
    default = {"id": webhook_id, "url": URL, "events": EVERY, "status": "created"}
    return client.put(f"/service/webhooks/{webhook_id}", json=default | body)


def faults(answer: Any) -> list[str]:
    """Return the fields at fault in a 400 response."""
    assert answer.status_code == 400, answer.text
    return list(answer.json["errors"])


def fail(store: Store, webhook_id: str) -> None:
    """Put the webhook into the status that the worker sets if a receiver keeps failing."""

    def transact(tx: Any) -> None:
        tx.claim(("document", webhook_id))
        webhook = webhooks.load(tx, webhook_id)
        assert webhook is not None
        webhooks.save(tx, webhook.failed("DeliveryFailed", "the receiver answered 500", store.now()))

    store.write(transact)


FULL: dict[str, Any] = {
    "api_key_name": "Authorization",
    "flow_ids": [new_id()],
    "source_ids": [new_id(), new_id()],
    "flow_collected_by_ids": [],
    "source_collected_by_ids": [new_id()],
    "accept_get_urls": [],
    "accept_storage_ids": [new_id()],
    "presigned": True,
    "verbose_storage": False,
    "include_object_timerange": True,
    "tags": {"team": ["news", "sport"], "tier": "1"},
}


class TestRegistering:
    def test_the_service_says_that_it_can_be_done(self, client: FlaskClient) -> None:
        said = client.get("/service").json
        assert said is not None
        assert [mechanism["name"] for mechanism in said["event_stream_mechanisms"]] == ["webhooks"]

    def test_the_least(self, client: FlaskClient) -> None:
        webhook = post(client)
        assert webhook == {"id": webhook["id"], "url": URL, "events": EVERY, "status": "created"}
        assert client.get(f"/service/webhooks/{webhook['id']}").json == webhook
        head = client.head(f"/service/webhooks/{webhook['id']}")
        assert (head.status_code, head.data) == (200, b"")

    def test_everything(self, client: FlaskClient) -> None:
        webhook = post(client, **FULL, api_key_value="Bearer secret", status="disabled", unknown=5, error={"type": "x"})
        assert webhook == {"id": webhook["id"], "url": URL, "events": EVERY, **FULL, "status": "disabled"}

    def test_the_value_of_the_key_is_never_answered(self, client: FlaskClient) -> None:
        webhook = post(client, api_key_name="X-Key", api_key_value="open sesame")
        path = f"/service/webhooks/{webhook['id']}"
        changed = put(client, webhook["id"], api_key_name="X-Key", api_key_value="another sesame")
        for answer in (client.get(path), client.get("/service/webhooks"), changed):
            assert "sesame" not in answer.text
            assert "api_key_value" not in answer.text

    @pytest.mark.parametrize("name", [name for name in FULL if name not in ("tags", "api_key_name")])
    @pytest.mark.parametrize("wrong", [None, "text", 5, {}, [5], ["\x01", None]])
    def test_wrong_values_are_refused(self, client: FlaskClient, name: str, wrong: Any) -> None:
        answer = client.post("/service/webhooks", json={"url": URL, "events": [], name: wrong})
        assert all(path.startswith(name) for path in faults(answer))

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({"events": []}, "url"),
            ({"url": URL}, "events"),
            ({"url": 5, "events": []}, "url"),
            ({"url": URL, "events": "flows/created"}, "events"),
            ({"url": URL, "events": ["flows/created", "flows/renamed"]}, "events[1]"),
            ({"url": URL, "events": [], "status": "started"}, "status"),
            ({"url": URL, "events": [], "status": "error"}, "status"),
            ({"url": URL, "events": [], "status": None}, "status"),
            ({"url": URL, "events": [], "tags": {"a": 5}}, "tags.a"),
            ({"url": URL, "events": [], "flow_ids": [new_id().upper()]}, "flow_ids[0]"),
            ({"url": URL, "events": [], "api_key_value": "x"}, "api_key_name"),
            ({"url": "https://8.8.8.8/" + "x" * 8192, "events": []}, "url"),
            ([], "body"),
        ],
    )
    def test_what_breaks_the_schema_is_refused(self, client: FlaskClient, body: Any, path: str) -> None:
        assert faults(client.post("/service/webhooks", json=body)) == [path]
        assert client.get("/service/webhooks").json == []

    @pytest.mark.parametrize(
        "name",
        [
            *("", "a b", "a:b", "a\r\nb", "ä", "x" * 257),
            *("Host", "content-length", "Content-Type", "Transfer-Encoding", "Connection", "User-Agent"),
            *("webhook-id", "WEBHOOK-SIGNATURE"),
        ],
    )
    def test_a_header_that_cannot_be_sent_is_refused(self, client: FlaskClient, name: str) -> None:
        body = {"url": URL, "events": [], "api_key_name": name, "api_key_value": "x"}
        assert faults(client.post("/service/webhooks", json=body)) == ["api_key_name"]

    @pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "\x7f", "ü", " a", "a ", "\t", "x" * 8193])
    def test_a_value_that_cannot_be_sent_is_refused(self, client: FlaskClient, value: str) -> None:
        body = {"url": URL, "events": [], "api_key_name": "X-Key", "api_key_value": value}
        assert faults(client.post("/service/webhooks", json=body)) == ["api_key_value"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/",
            "http://localhost:8000/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1%25eth0]/",
            "http://169.254.169.254/latest/meta-data",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:7f00:1::]/",
            "https://user:password@8.8.8.8/",
            "ftp://8.8.8.8/",
            "file:///etc/passwd",
            "//8.8.8.8/",
        ],
    )
    def test_a_url_that_leads_inside_is_refused(self, client: FlaskClient, url: str) -> None:
        assert faults(client.post("/service/webhooks", json={"url": url, "events": []})) == ["url"]
        webhook = post(client)
        assert faults(put(client, webhook["id"], url=url)) == ["url"]
        assert client.get(f"/service/webhooks/{webhook['id']}").json == webhook

    def test_a_name_that_does_not_exist_yet_is_accepted(self, client: FlaskClient) -> None:
        assert post(client, url="https://receiver.invalid/")["url"] == "https://receiver.invalid/"

    def test_a_document_that_is_too_large_is_refused(self, client: FlaskClient) -> None:
        body = {"url": URL, "events": [], "flow_ids": [new_id()] * 2000}
        assert client.post("/service/webhooks", json=body).status_code == 400


class TestChanging:
    def test_everything_is_replaced_but_the_value_of_the_key(self, client: FlaskClient, store: Store) -> None:
        webhook = post(client, **FULL, api_key_value="Bearer secret")
        answer = put(client, webhook["id"], events=["flows/created"], api_key_name="X-Key")
        assert answer.status_code == 201
        changed = {"id": webhook["id"], "url": URL, "events": ["flows/created"], "api_key_name": "X-Key"}
        assert answer.json == changed | {"status": "created"}
        assert client.get(f"/service/webhooks/{webhook['id']}").json == answer.json
        with store.repository.read() as read:
            stored = webhooks.load(read, webhook["id"])
        assert stored is not None
        assert stored.key_header == {"X-Key": "Bearer secret"}
        put(client, webhook["id"], api_key_name="X-Key", api_key_value="new")
        with store.repository.read() as read:
            stored = webhooks.load(read, webhook["id"])
        assert stored is not None
        assert stored.key_header == {"X-Key": "new"}

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"id": new_id()}, "id"),
            ({"id": "x"}, "id"),
            ({"status": "started"}, "status"),
            ({"status": "error"}, "status"),
            ({"events": ["x"]}, "events[0]"),
        ],
    )
    def test_wrong_changes_change_nothing(self, client: FlaskClient, change: dict[str, Any], path: str) -> None:
        webhook = post(client, **FULL)
        assert faults(put(client, webhook["id"], **change)) == [path]
        assert client.get(f"/service/webhooks/{webhook['id']}").json == webhook

    @pytest.mark.parametrize("missing", ["id", "url", "events", "status"])
    def test_what_is_required_is_required(self, client: FlaskClient, missing: str) -> None:
        webhook = post(client)
        body = {name: value for name, value in webhook.items() if name != missing}
        assert faults(client.put(f"/service/webhooks/{webhook['id']}", json=body)) == [missing]

    def test_what_is_not_there_is_not_found_whatever_the_body(self, client: FlaskClient) -> None:
        for path in (f"/service/webhooks/{new_id()}", "/service/webhooks/x"):
            for method in ("GET", "HEAD", "DELETE"):
                assert client.open(path, method=method).status_code == 404
            bodies: tuple[Any, ...] = ({}, None, "{")
            for body in bodies:
                assert client.put(path, json=body).status_code == 404
            assert client.put(path, data="x", content_type="text/plain").status_code == 404

    def test_states(self, client: FlaskClient, store: Store) -> None:
        webhook = post(client)
        for status in ("created", "disabled", "disabled", "created", "created"):
            assert put(client, webhook["id"], status=status).json["status"] == status
        fail(store, webhook["id"])
        body = client.get(f"/service/webhooks/{webhook['id']}").json
        assert body is not None
        assert body["status"] == "error"
        assert body["error"]["summary"] == "the receiver answered 500"
        assert set(body["error"]) == {"type", "summary", "time"}
        assert faults(put(client, webhook["id"], status="disabled")) == ["status"]
        again = put(client, webhook["id"], status="created", error=body["error"])
        assert again.json == webhook

    def test_a_webhook_that_is_deleted_is_gone(self, client: FlaskClient) -> None:
        webhook = post(client)
        path = f"/service/webhooks/{webhook['id']}"
        answer = client.delete(path)
        assert (answer.status_code, answer.data) == (204, b"")
        assert client.get(path).status_code == client.delete(path).status_code == 404
        assert client.get("/service/webhooks").json == []


class TestListing:
    def test_webhooks_are_listed_by_url_and_id_page_after_page(self, client: FlaskClient) -> None:
        urls = [f"https://8.8.8.8/{path}" for path in ("b", "a", "B", "a", "", "a/b", "%C3%A4")]
        webhook = sorted((post(client, url=url) for url in urls), key=lambda webhook: (webhook["url"], webhook["id"]))
        for reverse, expected in (("false", webhook), ("TRUE", webhook[::-1])):
            for limit in (1, 3, 7, 100):
                url: str | None = f"/service/webhooks?limit={limit}&reverse_order={reverse}"
                listed: list[Any] = []
                while url is not None:
                    answer = client.get(url)
                    assert answer.json is not None
                    assert answer.headers["X-Paging-Limit"] == str(limit)
                    assert answer.headers["X-Paging-Count"] == str(len(answer.json))
                    assert answer.headers["X-Paging-Reverse-Order"] == reverse.lower()
                    assert client.head(url).headers.get("Link") == answer.headers.get("Link")
                    listed += answer.json
                    link = answer.headers.get("Link")
                    url = link[1 : link.index(">")].removeprefix("http://localhost") if link else None
                assert listed == expected

    def test_webhooks_are_filtered_by_tags(self, client: FlaskClient) -> None:
        news = post(client, url=f"{URL}/1", tags={"team": ["news", "sport"], "a b/,": "x"})["id"]
        sport = post(client, url=f"{URL}/2", tags={"team": "sport"})["id"]
        none = post(client, url=f"{URL}/3")["id"]
        for query, expected in (
            ("tag.team=sport", [news, sport]),
            ("tag.team=news", [news]),
            ("tag.team=spor", []),
            ("tag.team=other,news", [news]),
            ("tag.team=sport&tag.a%20b%2F%2C=x", [news]),
            ("tag_exists.team=true", [news, sport]),
            ("tag_exists.team=false", [none]),
            ("tag.team=sport&tag_exists.a%20b%2F%2C=false", [sport]),
        ):
            listed = client.get(f"/service/webhooks?{query}").json
            assert listed is not None
            assert [webhook["id"] for webhook in listed] == expected, query

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "page=x", "reverse_order=1", "tag_exists.a=1", "tag.a=,"])
    def test_what_is_malformed_is_refused(self, client: FlaskClient, query: str) -> None:
        assert client.get(f"/service/webhooks?{query}").status_code == 400


class TestQueues:
    """The waiting events of a webhook when its status changes."""

    def happen(self, client: FlaskClient, store: Store) -> None:
        """Cause two events."""
        make_flow(client)
        while fan_out(store):
            pass

    def look(self, store: Store, webhook_id: str) -> tuple[int, str | None]:
        """Return how many events wait, and the lane of the job."""
        with store.repository.read() as read:
            return waiting(read, webhook_id), load_queue(read, webhook_id).lane

    def test_it_is_kept_while_disabled_and_nothing_is_added(self, client: FlaskClient, store: Store) -> None:
        webhook = post(client)
        assert self.look(store, webhook["id"]) == (0, None)
        self.happen(client, store)
        assert self.look(store, webhook["id"]) == (2, "deliver")
        put(client, webhook["id"], status="disabled")
        assert self.look(store, webhook["id"]) == (2, None)
        self.happen(client, store)
        assert self.look(store, webhook["id"]) == (2, None)
        put(client, webhook["id"], status="created")
        assert self.look(store, webhook["id"]) == (2, "deliver")

    def test_it_grows_on_in_error_and_is_sent_again_afterwards(self, client: FlaskClient, store: Store) -> None:
        webhook = post(client)
        put(client, webhook["id"], status="disabled")
        put(client, webhook["id"], status="created")
        fail(store, webhook["id"])
        self.happen(client, store)
        assert self.look(store, webhook["id"]) == (2, None)
        assert webhooks.replay(store, webhook["id"])
        assert self.look(store, webhook["id"]) == (2, "deliver")
        assert not webhooks.replay(store, webhook["id"])

    def test_of_a_deleted_webhook_nothing_is_left(self, client: FlaskClient, store: Store) -> None:
        webhook = post(client)
        other = post(client)
        self.happen(client, store)
        client.delete(f"/service/webhooks/{webhook['id']}")
        self.happen(client, store)
        with store.repository.read() as read:
            assert load_queue(read, webhook["id"]).sequence == 0
            assert waiting(read, other["id"]) == 4
        assert store.repository.lease("deliver", "w", 10, 5)[0].job_id == other["id"]
        assert [job.job_id for job in store.repository.lease("forget-deliveries", "w", 10, 5)] == [webhook["id"]]
