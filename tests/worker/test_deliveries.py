"""Events on their way from the change to the receiver, on each database."""

from __future__ import annotations

import contextlib
import hmac
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from itertools import count
from typing import Any

import orjson
import pytest

from tams.config import Settings
from tams.domain.errors import Contended
from tams.services.webhooks import webhooks
from tams.services.webhooks.attempts import FailedAttempt, load_attempt
from tams.services.webhooks.queue import load_queue, waiting
from tams.worker.deliveries import forget_deliveries
from tams.worker.fan_out import FanOut, fan_out
from tests.support.api_steps import allocate, make_flow, register, source_of
from tests.support.receivers import Receiver, answering, receiver
from tests.support.tables import rows
from tests.support.worker_site import Site

PATIENCE = 20


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(0.02)


class Got:
    """The requests that a receiver got."""

    def __init__(self, there: Receiver) -> None:
        self._there = there
        self.url = f"http://127.0.0.1:{there.port}/hook"

    def headers(self) -> list[dict[str, str]]:
        """Return the headers of each request in lower case, and the request line under the empty name."""
        requests = (head.decode().split("\r\n") for head in list(self._there.heads))
        return [dict([("", lines[0]), *(self._header(line) for line in lines[1:])]) for lines in requests]

    @staticmethod
    def _header(line: str) -> tuple[str, str]:
        name, value = line.lower().split(": ", 1)
        return name, value

    def bodies(self) -> list[Any]:
        """Return the JSON body of each request."""
        return [orjson.loads(body) for body in list(self._there.bodies)]

    def raw(self) -> list[tuple[list[str], bytes]]:
        """Return the lines of the head and the body of each request."""
        heads = [head.decode().split("\r\n") for head in list(self._there.heads)]
        return list(zip(heads, list(self._there.bodies), strict=False))


@contextmanager
def taking(*answers: Callable[[socket.socket], None]) -> Iterator[Got]:
    """Run a receiver that gives these answers in turn, and then repeats the last one."""
    answer_numbers = count()
    chosen = answers or (answering("204 No Content", b""),)

    def answer(connection: socket.socket) -> None:
        chosen[min(next(answer_numbers), len(chosen) - 1)](connection)

    with receiver(answer) as there:
        yield Got(there)


def spread(site: Site) -> None:
    """Fan out all events."""
    while fan_out(site.store):
        pass


class TestWhatIsSent:
    def test_each_of_the_eight_events_as_it_is_specified(self, site: Site) -> None:
        client = site.client
        with taking() as got, site.working():
            site.register(got.url)
            flow_id = make_flow(client, label="first")
            source_id = source_of(client, flow_id)
            client.put(f"/flows/{flow_id}/label", json="second")
            client.put(f"/sources/{source_id}/label", json="source")
            shown_flow = client.get(f"/flows/{flow_id}").json
            shown_source = client.get(f"/sources/{source_id}").json
            object_id = allocate(client, flow_id)[0]
            register(client, flow_id, object_id, "[0:0_1:0)")
            shown_segment = client.get(f"/flows/{flow_id}/segments?accept_get_urls=").json
            # Of an Object that has gone by then there is no URL to send.
            eventually(lambda: len(got.bodies()) == 5, "the events so far")
            client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_1:0)")
            client.delete(f"/flows/{flow_id}")
            eventually(lambda: len(got.bodies()) >= 8, "all events")
        bodies = {body["event_type"]: body for body in got.bodies()}
        assert set(bodies) == {
            *("flows/created", "flows/updated", "flows/deleted", "flows/segments_added", "flows/segments_deleted"),
            *("sources/created", "sources/updated", "sources/deleted"),
        }
        for body in bodies.values():
            assert set(body) == {"event_timestamp", "event_type", "event"}
            assert body["event_timestamp"].endswith("Z")
        assert bodies["flows/created"]["event"]["flow"]["label"] == "first"
        assert bodies["flows/updated"]["event"] == {"flow": shown_flow}
        assert bodies["flows/deleted"]["event"] == {"flow_id": flow_id}
        assert bodies["sources/created"]["event"]["source"]["id"] == source_id
        assert bodies["sources/updated"]["event"] == {"source": shown_source}
        assert bodies["sources/deleted"]["event"] == {"source_id": source_id}
        assert bodies["flows/segments_deleted"]["event"] == {"flow_id": flow_id, "timerange": "[0:0_1:0)"}
        added = bodies["flows/segments_added"]["event"]
        assert added["flow_id"] == flow_id
        assert shown_segment is not None
        [segment] = added["segments"]
        assert segment | {"get_urls": []} == shown_segment[0]
        [url] = segment["get_urls"]
        assert url["presigned"] is True
        # Where the webhook was registered, because no public URL is set.
        assert url["url"].startswith("http://localhost/")

    def test_segments_are_shown_as_each_webhook_wants(self, site: Site) -> None:
        client = site.client
        storage = next(iter(site.store.storages.values())).backend
        variants: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
            "none": ({"accept_get_urls": []}, lambda segment: segment["get_urls"] == []),
            "other": ({"accept_get_urls": ["other"]}, lambda segment: segment["get_urls"] == []),
            "label": ({"accept_get_urls": [storage.label]}, lambda segment: len(segment["get_urls"]) == 1),
            "storage": ({"accept_storage_ids": [storage.id]}, lambda segment: len(segment["get_urls"]) == 1),
            "no storage": ({"accept_storage_ids": []}, lambda segment: len(segment["get_urls"]) == 1),
            "unsigned": ({"presigned": False}, lambda segment: segment["get_urls"] == []),
            "signed": ({"presigned": True}, lambda segment: len(segment["get_urls"]) == 1),
            "verbose": ({"verbose_storage": True}, lambda segment: segment["get_urls"][0]["storage_id"] == storage.id),
            "terse": ({}, lambda segment: set(segment["get_urls"][0]) == {"url", "presigned", "label"}),
            "object": (
                {"include_object_timerange": True},
                lambda segment: segment["object_timerange"] == "[0:0_1:0)",
            ),
            "no object": ({}, lambda segment: "object_timerange" not in segment),
        }
        with taking() as got, site.working():
            for name, (options, _) in variants.items():
                site.register(
                    f"{got.url}?{name.replace(' ', '-')}",
                    **options | {"events": ["flows/segments_added"]},
                )
            flow_id = make_flow(client)
            register(client, flow_id, allocate(client, flow_id)[0], "[0:0_1:0)")
            eventually(lambda: len(got.bodies()) == len(variants), "an event for each")
        first_segments = {}
        for lines, body in got.raw():
            name = lines[0].split("?")[1].split()[0].replace("-", " ")
            first_segments[name] = orjson.loads(body)["event"]["segments"][0]
        assert {name: fits(first_segments[name]) for name, (_, fits) in variants.items()} == dict.fromkeys(
            variants, True
        )

    def test_it_says_which_event_it_is_and_proves_who_sends_it(self, site: Site) -> None:
        with taking() as got, site.working():
            site.register(got.url, api_key_name="Authorization", api_key_value="Bearer open sesame")
            make_flow(site.client)
            eventually(lambda: len(got.bodies()) == 2, "both events")
        ids = set()
        for sequence, (lines, body) in enumerate(got.raw(), start=1):
            headers = dict(line.split(": ", 1) for line in lines[1:])
            assert lines[0] == "POST /hook HTTP/1.1"
            assert headers["Content-Type"] == "application/json"
            assert headers["Authorization"] == "Bearer open sesame"
            assert headers["Webhook-Sequence"] == str(sequence)
            assert abs(int(headers["Webhook-Timestamp"]) - time.time()) < 60
            signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
            digest = b64encode(hmac.digest(b"w" * 32, signed, "sha256")).decode()
            assert headers["Webhook-Signature"] == f"v1,{digest}"
            ids.add(headers["Webhook-Id"])
        assert len(ids) == 2

    def test_a_list_is_one_event_or_several_where_it_is_long(self, site: Site) -> None:
        client = site.client
        with taking() as got, site.working():
            site.register(got.url, events=["flows/segments_added"], accept_get_urls=[])
            flow_id = make_flow(client)
            segments = [
                {"object_id": object_id, "timerange": f"[{number}:0_{number + 1}:0)"}
                for number, object_id in enumerate(allocate(client, flow_id, 1000))
            ]
            assert client.post(f"/flows/{flow_id}/segments", json=segments).status_code == 201

            def timeranges() -> list[str]:
                return [segment["timerange"] for body in got.bodies() for segment in body["event"]["segments"]]

            eventually(lambda: len(timeranges()) == 1000, "all Segments")
        assert timeranges() == [segment["timerange"] for segment in segments]
        assert 1 < len(got.bodies()) < 10


class TestFailures:
    def test_it_is_created_until_the_first_event_is_sent(self, site: Site) -> None:
        with taking() as got, site.working():
            webhook_id = site.register(got.url)
            time.sleep(0.5)
            assert site.webhook(webhook_id)["status"] == "created"
            make_flow(site.client)
            eventually(lambda: site.webhook(webhook_id)["status"] == "started", "started")

    @pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Fine"])
    def test_success_is_2xx(self, site: Site, status: str) -> None:
        with taking(answering(status, b"")) as got, site.working():
            webhook_id = site.register(got.url)
            make_flow(site.client)
            eventually(lambda: len(got.bodies()) == 2, "both events")
            eventually(lambda: self.left(site, webhook_id) == 0, "nothing waits")

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (
                answering("301 Retry", b"", "Location: http://127.0.0.1/\r\n"),
                "answered 301 (redirects are not followed)",
            ),
            (answering("304 Not Modified", b""), "answered 304 (redirects are not followed)"),
            (answering("400 Bad Request"), "answered 400"),
            (answering("410 Gone"), "answered 410"),
            (answering("500 Oops"), "answered 500"),
            (lambda _: time.sleep(3), "did not answer within 1 s"),
            (lambda connection: connection.sendall(b"nonsense\r\n\r\n"), "is not valid HTTP"),
            (lambda connection: connection.shutdown(socket.SHUT_RDWR), "could not be reached"),
        ],
    )
    def test_anything_else_is_tried_again_and_then_an_error_with_its_reason(
        self, site: Site, answer: Callable[[socket.socket], None], reason: str
    ) -> None:
        with taking(answer) as got, site.working():
            webhook_id = site.register(got.url)
            make_flow(site.client)
            eventually(lambda: site.webhook(webhook_id)["status"] == "error", "the error")
            webhook = site.webhook(webhook_id)
            assert reason in webhook["error"]["summary"]
            assert webhook["error"]["type"] == "DeliveryFailed"
            assert {headers["webhook-sequence"] for headers in got.headers()} == {"1"}
            assert len({headers["webhook-id"] for headers in got.headers()}) == 1
            assert len(got.headers()) >= 3
            assert self.left(site, webhook_id) == 2

    def test_an_address_inside_is_not_connected_to_even_if_it_was_registered(self, site: Site) -> None:
        with taking() as got:
            webhook_id = site.register(got.url)
            make_flow(site.client)
            strict = Site(replace(site.store.settings, outbound_allow=()))
            with strict.working():
                eventually(lambda: site.webhook(webhook_id)["status"] == "error", "the error")
            strict.store.repository.close()
            assert got.headers() == []
        assert "not an address on the internet" in site.webhook(webhook_id)["error"]["summary"]

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_retry_after_is_honoured(self, site: Site, form: str) -> None:
        date = int(time.time()) + 3
        value = "2" if form == "seconds" else formatdate(date, usegmt=True)
        refusal = answering("503 Busy", b"", f"Retry-After: {value}\r\n")
        with taking(refusal, answering()) as got, site.working():
            site.register(got.url, events=["flows/created"])
            make_flow(site.client)
            eventually(lambda: len(got.headers()) == 1, "the first attempt")
            began = time.monotonic()
            eventually(lambda: len(got.headers()) == 2, "the second attempt")
            # A date stays the same however late the first attempt was.
            assert time.monotonic() - began > 1 if form == "seconds" else time.time() >= date

    @pytest.mark.parametrize("value", ["999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_retry_after_is_capped(self, site: Site, database_url: str, value: str) -> None:
        with taking(answering("503 Busy", b"", f"Retry-After: {value}\r\n")) as got, site.working():
            webhook_id = site.register(got.url, events=["flows/created"])
            make_flow(site.client)
            eventually(lambda: self.lane(site, webhook_id) == "deliver-slowly", "the wait")
        (due,) = [job["due"] for job in rows(database_url, "jobs") if job["kind"] == "deliver-slowly"]
        assert 3500 < due / 1_000_000 - time.time() <= 3600

    def test_a_change_of_the_webhook_has_what_waits_sent_at_once(self, settings: Settings) -> None:
        patient = Site(replace(settings, webhook_retries=(3600,)))
        with taking(answering("500 Oops")) as broken, taking() as got, patient.working():
            webhook_id = patient.register(broken.url)
            make_flow(patient.client)
            eventually(lambda: self.lane(patient, webhook_id) == "deliver-slowly", "the wait")
            webhook = patient.webhook(webhook_id)
            body = {**webhook, "url": got.url, "status": "created"}
            assert patient.client.put(f"/service/webhooks/{webhook_id}", json=body).status_code == 201
            eventually(lambda: len(got.bodies()) == 2, "both events")
        patient.store.repository.close()

    def test_the_last_failure_is_known_until_an_event_is_delivered(self, settings: Settings) -> None:
        patient = Site(replace(settings, webhook_retries=(3600,)))
        with taking(answering("500 Oops")) as broken, taking() as got, patient.working():
            webhook_id = patient.register(broken.url)
            make_flow(patient.client)
            eventually(lambda: self.attempt(patient, webhook_id) is not None, "a failure")
            attempt = self.attempt(patient, webhook_id)
            assert attempt is not None
            assert (attempt.reason, attempt.failures) == ("the receiver answered 500", 1)
            assert 2699 < (attempt.next - attempt.time) / 1_000_000 < 4501
            body = {**patient.webhook(webhook_id), "url": got.url, "status": "created"}
            assert patient.client.put(f"/service/webhooks/{webhook_id}", json=body).status_code == 201
            eventually(lambda: len(got.bodies()) == 2, "both events")
            eventually(lambda: self.attempt(patient, webhook_id) is None, "the failure is forgotten")
        patient.store.repository.close()

    def attempt(self, site: Site, webhook_id: str) -> FailedAttempt | None:
        """Return the last failed attempt."""
        with site.store.repository.read() as read:
            return load_attempt(read, webhook_id)

    def left(self, site: Site, webhook_id: str) -> int:
        """Return how many events wait."""
        with site.store.repository.read() as read:
            return waiting(read, webhook_id)

    def lane(self, site: Site, webhook_id: str) -> str | None:
        """Return the lane of the job."""
        with site.store.repository.read() as read:
            return load_queue(read, webhook_id).lane


class TestManyReceivers:
    def test_slow_and_dead_ones_delay_no_other_even_with_one_thread(self, settings: Settings) -> None:
        site = Site(replace(settings, webhook_threads=1, webhook_retries=(0,) * 50))

        def slowly(connection: socket.socket) -> None:
            time.sleep(0.9)
            answering()(connection)

        with taking(lambda _: time.sleep(5)) as dead, taking(slowly) as slow, taking() as quick, site.working():
            for _ in range(3):
                site.register(dead.url)
            site.register(slow.url)
            flow_id = make_flow(site.client)
            eventually(lambda: len(dead.headers()) >= 3, "each was tried once")
            site.register(quick.url)
            for number in range(20):
                site.client.put(f"/flows/{flow_id}/label", json=str(number))
            eventually(lambda: len(quick.bodies()) == 20, "the quick one has everything")
            # It may have waited for one turn of the slow one, which is no failure.
            assert len(slow.bodies()) < 20
        site.store.repository.close()

    def test_several_workers_share_the_work_and_keep_the_order(self, site: Site) -> None:
        with taking() as got, site.working(workers=3):
            for number in range(6):
                site.register(f"{got.url}?{number}")
            flow_id = make_flow(site.client)
            for number in range(40):
                site.client.put(f"/flows/{flow_id}/label", json=str(number))
            eventually(lambda: len(got.bodies()) >= 6 * 42, "all events")
        by_webhook: dict[str, list[int]] = {}
        for lines, _ in got.raw():
            headers = dict(line.split(": ", 1) for line in lines[1:])
            by_webhook.setdefault(lines[0], []).append(int(headers["Webhook-Sequence"]))
        assert list(by_webhook.values()) == [list(range(1, 43))] * 6

    def test_a_webhook_gets_everything_that_happens_after_its_registration(self, site: Site) -> None:
        """A webhook registered while events are fanned out may also get events that were not fanned out before."""
        stop = threading.Event()

        def share() -> None:
            while not stop.is_set():
                # As the worker does: where registrations keep coming between, it tries again.
                with contextlib.suppress(Contended):
                    fan_out(site.store)

        sharing = threading.Thread(target=share)
        sharing.start()
        webhook_ids: list[str] = []
        flows: list[str] = []
        for _ in range(15):
            webhook_ids.append(site.register("http://127.0.0.1:9/", events=["flows/created"]))
            flows.append(make_flow(site.client))
        stop.set()
        sharing.join()
        spread(site)
        with site.store.repository.read() as read:
            for number, webhook_id in enumerate(webhook_ids):
                waits = [delivery.event.flow_id for delivery in read.deliveries(webhook_id, 100)]
                assert len(waits) >= 15 - number
                assert waits == flows[-len(waits) :]


class TestTheBacklog:
    def test_is_bounded_and_the_receiver_can_see_what_was_dropped(self, settings: Settings) -> None:
        site = Site(replace(settings, webhook_backlog=20))
        with taking() as got:
            webhook_id = site.register(got.url, events=["flows/updated"])
            flow_id = make_flow(site.client)
            for number in range(100):
                site.client.put(f"/flows/{flow_id}/label", json=str(number))
                spread(site)
            webhook = site.webhook(webhook_id)
            assert (webhook["status"], webhook["error"]["type"]) == ("error", "BacklogExceeded")
            assert webhooks.replay(site.store, webhook_id)
            with site.working():
                eventually(lambda: got.bodies() and got.bodies()[-1]["event"]["flow"]["label"] == "99", "the last one")
            sequences = [int(headers["webhook-sequence"]) for headers in got.headers()]
        assert sequences[-1] == 100
        assert sequences == list(range(sequences[0], 101))
        assert 20 <= len(sequences) <= 22
        site.store.repository.close()

    def test_of_a_deleted_webhook_is_removed_in_the_background(self, site: Site) -> None:
        webhook_id = site.register("http://127.0.0.1:9/")
        flow_id = make_flow(site.client)
        for number in range(30):
            site.client.put(f"/flows/{flow_id}/label", json=str(number))
        spread(site)
        site.client.delete(f"/service/webhooks/{webhook_id}")
        while forget_deliveries(site.store, "w"):
            pass
        with site.store.repository.read() as read:
            assert read.deliveries(webhook_id, 1) == []


class TestWithoutWebhooks:
    def test_nothing_is_kept_and_nobody_looks(self, site: Site) -> None:
        webhook_id = site.register("http://127.0.0.1:9/")
        site.client.delete(f"/service/webhooks/{webhook_id}")
        make_flow(site.client)
        with site.store.repository.read() as read:
            assert read.count_up_to("events in outbox", "", 10) == 0
        holder = FanOut(site.store, "w", threading.Event(), lambda: None)
        assert not holder.step()
        assert site.store.repository.lease("fan-out", "w", 1, 5) == []
