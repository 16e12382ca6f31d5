"""Events to real receivers: none is lost, none is sent before its commit, and no receiver delays another."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.http_client import Json
from tests.support.repository_steps import environment_of
from tests.support.servers import TamsStore, eventually
from tests.support.webhook_receiver import Receiver, Request

pytestmark = pytest.mark.e2e

EVERYTHING = [f"{kind}/{what}" for kind in ("flows", "sources") for what in ("created", "updated", "deleted")] + [
    "flows/segments_added",
    "flows/segments_deleted",
]
TAMS = Path(sys.executable).with_name("tams")
LOCAL = {
    "TAMS_OUTBOUND_ALLOW": "127.0.0.1",
    "TAMS_WEBHOOK_TIMEOUT": "1",
    "TAMS_WEBHOOK_RETRIES": ",".join(["0"] * 3 + ["1"] * 60),
    "TAMS_JOB_LEASE": "5",
}
KILLS = 8


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Run a receiver."""
    process = Receiver(tmp_path)
    yield process
    process.close()


@pytest.fixture
def prompt(tmp_path: Path) -> Iterator[TamsStore]:
    """Run a store with its own worker, which gives up after two repeats."""
    store = TamsStore(tmp_path, **(LOCAL | {"TAMS_WEBHOOK_RETRIES": "0,0"}))
    store.start()
    yield store
    store.stop()


def register(http: httpx.Client, url: str, **more: object) -> str:
    """Register a webhook for every type of event; return its id."""
    answer = http.post("/service/webhooks", json={"url": url, "events": EVERYTHING, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def state(http: httpx.Client, webhook_id: str) -> Json:
    document: Json = http.get(f"/service/webhooks/{webhook_id}").json()
    return document


def data_flow(flow_id: str, **more: object) -> Json:
    return {
        "id": flow_id,
        "source_id": str(uuid4()),
        "format": "urn:x-nmos:format:data",
        "codec": "application/octet-stream",
        "container": "application/octet-stream",
        "essence_parameters": {},
        **more,
    }


def assert_complete(requests: list[Request]) -> None:
    """Check that sequence numbers have no gap, that each is one event, and that no event overtook an earlier one."""
    ids: dict[int, str] = {}
    last_taken = 0
    for request in requests:
        assert request.sequence <= last_taken + 1, "an event overtook an earlier one"
        assert ids.setdefault(request.sequence, request.event_id) == request.event_id, "a repeat has another id"
        if request.taken:
            last_taken = max(last_taken, request.sequence)
    assert last_taken == len(ids) == len(set(ids.values()))


class Changes:
    """Clients that each change one Flow, and record the events that their changes have to cause."""

    def __init__(self, url: str, clients: int, changes: int) -> None:
        self.expected: dict[str, list[str]] = {}
        """By Flow: the events that it has to cause, in order."""
        self.answered: dict[tuple[str, str], float] = {}
        self.begun: dict[tuple[str, str], float] = {}
        self._url = url
        self._changes_per_client = changes // clients
        self._threads = [threading.Thread(target=self._change) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Wait until all clients are done."""
        for thread in self._threads:
            thread.join()

    @property
    def running(self) -> bool:
        """Return whether a client is still running."""
        return any(thread.is_alive() for thread in self._threads)

    def _change(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            flow_id = str(uuid4())
            expected = self.expected[flow_id] = []
            start = time.time()
            assert http.put(f"/flows/{flow_id}", json=data_flow(flow_id, label="0")).status_code == 201
            self.begun[flow_id, "0"], self.answered[flow_id, "0"] = start, time.time()
            expected.append("flows/created 0")
            allocation = http.post(f"/flows/{flow_id}/storage", json={"limit": 1})
            object_id = allocation.json()["media_objects"][0]["object_id"]
            for number in range(1, self._changes_per_client):
                name = str(number)
                start = time.time()
                if number % 10 == 5:
                    # Both are refused inside their transactions, possibly after a write: no event may report them.
                    body = [{"id": flow_id, "role": "refused"}]
                    refused = http.put(f"/flows/{flow_id}/flow_collection", json=body)
                    assert refused.status_code == 400
                    segment = {"object_id": "refused", "timerange": "[0:0_1:0)"}
                    assert http.post(f"/flows/{flow_id}/segments", json=segment).status_code == 400
                if number % 3 == 0:
                    segment = {
                        "object_id": object_id,
                        "timerange": f"[{number}:0_{number + 1}:0)",
                        "ts_offset": f"{number}:0",
                    }
                    answer = http.post(f"/flows/{flow_id}/segments", json=segment)
                    expected.append(f"flows/segments_added [{number}:0_{number + 1}:0)")
                else:
                    answer = http.put(f"/flows/{flow_id}/label", json=name)
                    expected.append(f"flows/updated {name}")
                assert answer.status_code in (201, 204), answer.text
                self.begun[flow_id, expected[-1].split()[1]] = start
                self.answered[flow_id, expected[-1].split()[1]] = time.time()


def about(request: Request) -> tuple[str, str] | None:
    """Return the id of the event's Flow and a summary of the change, or None for events of Sources."""
    event = request.body["event"]
    if request.kind == "flows/segments_added":
        return event["flow_id"], f"{request.kind} {event['segments'][0]['timerange']}"
    if "flow" in event:
        return event["flow"]["id"], f"{request.kind} {event['flow'].get('label')}"
    return None


def by_flow(requests: list[Request]) -> dict[str, list[str]]:
    """Return the summaries of the events of each Flow, in order."""
    summaries: dict[str, list[str]] = {}
    for request in requests:
        if (change := about(request)) is not None:
            summaries.setdefault(change[0], []).append(change[1])
    return summaries


def spawn_worker(store: TamsStore, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    with store.log.open("a") as log:
        return subprocess.Popen(
            [TAMS, "worker", "--data-dir", store.data],
            env={"ENVIRONMENT": "development", "PATH": "", **variables},
            stdout=log,
            stderr=log,
        )


@pytest.mark.parametrize(
    ("database", "amount"),
    [(name, 200 if name.startswith("vast") else 2000) for name in ("sqlite", "postgresql", "vast_roomy")],
)
def test_workers_killed_at_any_moment_lose_nothing(
    database: str, amount: int, tmp_path: Path, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    new: Callable[[], str] = request.getfixturevalue(f"new_{database}")
    variables = LOCAL | environment_of(new())
    store = TamsStore(tmp_path, **variables)
    store.start("--no-worker")
    workers: list[subprocess.Popen[bytes]] = []
    try:
        with httpx.Client(base_url=store.url, timeout=60) as http:
            hooks = {path: register(http, f"{receiver.url}{path}") for path in ("/steady", "/flaky", "/dead")}
            changes = Changes(store.url, 4, amount)
            chance = random.Random()
            workers = [spawn_worker(store, variables) for _ in range(2)]
            kills = 0
            while changes.running or kills < KILLS:
                time.sleep(chance.uniform(0.5, 3.0))
                victim = workers.pop(chance.randrange(2))
                victim.kill()
                assert victim.wait() == -signal.SIGKILL, store.log.read_text()[-3000:]
                kills += 1
                workers.append(spawn_worker(store, variables))
            changes.wait()

            expected = sum(map(len, changes.expected.values())) + len(changes.expected)  # and a Source for each Flow
            for path in ("/steady", "/flaky"):
                eventually(partial(_has_taken, receiver, path, expected), f"all events at {path}", every=0.5)
            for path in ("/steady", "/flaky"):
                requests = receiver.requests(path)
                assert_complete(requests)
                assert by_flow(receiver.taken(path)) == changes.expected
                assert len(receiver.taken(path)) == expected
                for delivery in requests:
                    if (change := about(delivery)) is not None:
                        assert delivery.at > changes.begun[change[0], change[1].split()[1]], "sent before the change"
                print(f"{database} {path}: {expected} events, {kills} kills, {len(requests)} requests")
            assert "refused" not in "".join(delivery.text for delivery in receiver.requests())
            assert state(http, hooks["/steady"])["status"] == "started"
            assert receiver.taken("/dead") == []
            assert {delivery.sequence for delivery in receiver.requests("/dead")} == {1}
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        store.kill()


def test_an_event_comes_within_a_second_whatever_other_receivers_do(prompt: TamsStore, receiver: Receiver) -> None:
    with httpx.Client(base_url=prompt.url, timeout=60) as http:
        for _ in range(12):
            register(http, f"{receiver.url}/dead")
        register(http, f"{receiver.url}/steady", api_key_name="X-Key", api_key_value="open sesame")
        first = str(uuid4())
        http.put(f"/flows/{first}", json=data_flow(first)).raise_for_status()
        eventually(lambda: len(receiver.taken("/steady")) == 2, "the first events")
        answered: dict[str, float] = {}
        for _ in range(10):
            flow_id = str(uuid4())
            http.put(f"/flows/{flow_id}", json=data_flow(flow_id)).raise_for_status()
            answered[flow_id] = time.time()
            time.sleep(0.3)
        eventually(lambda: len(receiver.taken("/steady")) == 22, "all events")
        for delivery in receiver.taken("/steady"):
            assert delivery.headers["x-key"] == "open sesame"
            assert delivery.headers["content-type"] == "application/json"
            flow = delivery.body["event"].get("flow")
            if flow is not None and flow["id"] in answered:
                assert delivery.at - answered[flow["id"]] < 1


def test_a_receiver_that_keeps_failing_gets_its_backlog_when_it_is_replayed(
    prompt: TamsStore, receiver: Receiver
) -> None:
    def tams(*arguments: str) -> str:
        return subprocess.run(
            [TAMS, "webhooks", *arguments, "--data-dir", prompt.data],
            env={"ENVIRONMENT": "development"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    with httpx.Client(base_url=prompt.url, timeout=60) as http:
        webhook_id = register(http, f"{receiver.url}/broken")
        flow_id = str(uuid4())
        http.put(f"/flows/{flow_id}", json=data_flow(flow_id, label="0")).raise_for_status()
        eventually(lambda: state(http, webhook_id)["status"] == "error", "the webhook is in error")
        assert state(http, webhook_id)["error"]["summary"] == "the receiver answered 500"
        assert [delivery.sequence for delivery in receiver.requests("/broken")] == [1, 1, 1]
        for number in range(1, 50):
            http.put(f"/flows/{flow_id}/label", json=str(number)).raise_for_status()

        def listed() -> tuple[str, int]:
            rows = [json.loads(line) for line in tams("list", "--json").splitlines()]
            (row,) = [row for row in rows if row["id"] == webhook_id]
            return row["status"], row["waiting"]

        eventually(lambda: listed() == ("error", 51), "the backlog")
        assert "the receiver answered 500" in tams("list")
        receiver.heal()
        assert f"{webhook_id}: 51 waiting event(s)" in tams("replay", webhook_id)
        eventually(lambda: len(receiver.taken("/broken")) == 51, "the backlog is sent")
        assert_complete(receiver.requests("/broken"))
        assert by_flow(receiver.taken("/broken")) == {
            flow_id: ["flows/created 0", *(f"flows/updated {number}" for number in range(1, 50))]
        }
        assert state(http, webhook_id)["status"] == "started"
        assert "error" not in state(http, webhook_id)
        assert "not in error" in tams("replay", webhook_id)


def test_events_of_the_time_in_which_a_webhook_is_disabled_are_never_sent(
    prompt: TamsStore, receiver: Receiver
) -> None:
    with httpx.Client(base_url=prompt.url, timeout=60) as http:
        url = f"{receiver.url}/steady"
        webhook_id = register(http, url)

        def switch(status: str) -> None:
            body = {"id": webhook_id, "url": url, "events": EVERYTHING, "status": status}
            assert http.put(f"/service/webhooks/{webhook_id}", json=body).status_code == 201

        def flow() -> str:
            flow_id = str(uuid4())
            http.put(f"/flows/{flow_id}", json=data_flow(flow_id)).raise_for_status()
            return flow_id

        before = flow()
        eventually(lambda: len(receiver.taken("/steady")) == 2, "events before")
        switch("disabled")
        flow()
        time.sleep(1.5)
        switch("created")
        after = flow()
        eventually(lambda: len(receiver.taken("/steady")) == 4, "events after")
        assert set(by_flow(receiver.taken("/steady"))) == {before, after}
        assert_complete(receiver.requests("/steady"))
        http.delete(f"/service/webhooks/{webhook_id}").raise_for_status()
        flow()
        time.sleep(1.5)
        assert len(receiver.requests("/steady")) == 4
        eventually(lambda: prompt.rows().get("deliveries", 0) == 0, "nothing waits")


def _has_taken(receiver: Receiver, path: str, count: int) -> bool:
    return len(receiver.taken(path)) >= count
