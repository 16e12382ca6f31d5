"""API calls on VAST Database, and the maximum number of requests to the cluster that each may take.

The counts are those of a single client, with pages of the default size.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from flask.testing import FlaskClient

from tams import worker
from tams.api.context import STORE
from tams.app import create_app
from tams.config import Settings
from tams.services.store import Store
from tests.support.api_steps import allocate, make_flow, record
from tests.support.receivers import answering, receiver
from tests.support.repository_steps import environment_of
from tests.support.vast_clusters import opened, url_of
from tools.vast_emulator.emulator import Emulator

_REGISTERED = 1000


class Place(NamedTuple):
    """A store on an emulator in this process, with some Flows."""

    emulator: Emulator
    store: Store
    client: FlaskClient
    flow_id: str

    def ask(self, method: str, path: str, **options: Any) -> None:
        """Call the API; the call must succeed."""
        response = self.client.open(path, method=method, **options)
        assert response.status_code < 300, response.text


class Call(NamedTuple):
    """An API call, which `prepare` sets up and returns. A test limits it to `max_requests`; its goal is `bar`."""

    name: str
    max_requests: int
    prepare: Callable[[Place], Callable[[], None]]
    bar: int | None = None


@contextmanager
def place(directory: Path) -> Iterator[Place]:
    """Start a store with a hundred Flows, one of which has 500 Segments."""
    with opened() as (emulator, _):
        settings = Settings.from_env(
            environment_of(url_of(emulator.endpoint)),
            environment="development",
            data_dir=directory,
            secret_key="k" * 32,
            outbound_allow=("127.0.0.1",),
        )
        settings.prepare_data_dir()
        app = create_app(settings)
        client = app.test_client()
        flows = [make_flow(client) for _ in range(100)]
        record(client, flows[0], 500)
        place = Place(emulator, app.extensions[STORE], client, flows[0])
        yield place
        place.store.repository.close()


def requests_of(place: Place, call: Call) -> int:
    """Return the number of requests of the second call, when the metadata of the tables are cached."""
    call.prepare(place)()
    run = call.prepare(place)
    with place.emulator.counting() as counts:
        run()
    return counts.total


def _reads(path: str) -> Callable[[Place], Callable[[], None]]:
    return lambda place: lambda: place.ask("GET", path.format(place.flow_id))


def void(_result: object) -> None:
    """Discard the result of a call."""


def _put_new(place: Place) -> Callable[[], None]:
    return lambda: void(make_flow(place.client))


def _put_again(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    document = {**(place.client.get(f"/flows/{flow_id}").json or {}), "label": "changed"}
    writable = {name: value for name, value in document.items() if name not in _READ_ONLY}
    return lambda: place.ask("PUT", f"/flows/{flow_id}", json=writable)


_READ_ONLY = {"created", "metadata_updated", "segments_updated", "created_by", "updated_by", "collected_by"}


def _register(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    segments = [
        {"object_id": object_id, "timerange": f"[{n}:0_{n + 1}:0)"}
        for n, object_id in enumerate(allocate(place.client, flow_id, _REGISTERED))
    ]
    return lambda: place.ask("POST", f"/flows/{flow_id}/segments", json=segments)


def _delete_range(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    record(place.client, flow_id, 300)
    return lambda: place.ask("DELETE", f"/flows/{flow_id}/segments?timerange=[100:0_200:0)")


def _allocate(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    return lambda: void(allocate(place.client, flow_id, 100))


def _label(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    return lambda: place.ask("PUT", f"/flows/{flow_id}/label", json="new")


CALLS = (
    Call("get a Flow", 3, _reads("/flows/{}"), bar=3),
    Call("page of 100 Segments", 5, _reads("/flows/{}/segments?limit=100"), bar=8),
    Call("page of 100 Segments in the middle", 5, _reads("/flows/{}/segments?limit=100&timerange=[250:0_"), bar=8),
    Call("list 100 Flows", 4, _reads("/flows?limit=100")),
    Call("put a new Flow", 19, _put_new),
    Call("put a Flow again", 19, _put_again),
    Call("put the label of a Flow", 19, _label),
    Call("allocate 100 Objects", 23, _allocate),
    Call("register 1000 Segments", 18, _register, bar=20),
    Call("delete a range of 100 Segments", 32, _delete_range),
)


class Stream(NamedTuple):
    """The requests of a worker to the cluster, without those of the changes themselves."""

    events: int
    requests: int
    idle_per_second: float

    @property
    def per_event(self) -> float:
        """Return the requests per event for distributing and sending it, polling included."""
        return self.requests / self.events


def stream(place: Place, seconds: float, per_second: int) -> Stream:
    """Run a worker with one webhook: first idle, then with a steady stream of changes."""
    flow_id = make_flow(place.client)
    change = requests_of(place, next(call for call in CALLS if call.prepare is _label))
    stop = threading.Event()
    with receiver(answering("204 No Content", b"")) as webhook_receiver:
        body = {"url": f"http://127.0.0.1:{webhook_receiver.port}/", "events": ["flows/updated"]}
        place.ask("POST", "/service/webhooks", json=body)
        worker_thread = threading.Thread(target=worker.run, args=(place.store, stop))
        worker_thread.start()
        try:
            _send(place, flow_id, webhook_receiver.bodies, 1)
            time.sleep(3)  # until the worker no longer polls more often because of the event
            with place.emulator.counting() as idle:
                time.sleep(seconds)
            idle_total = idle.total
            count = int(seconds * per_second)
            with place.emulator.counting() as counts:
                start = time.monotonic()
                for number in range(count):
                    place.ask("PUT", f"/flows/{flow_id}/label", json=str(number))
                    time.sleep(max(0.0, start + (number + 1) / per_second - time.monotonic()))
                _wait(webhook_receiver.bodies, count + 1)
            return Stream(count, counts.total - count * change, idle_total / seconds)
        finally:
            stop.set()
            worker_thread.join()


def _send(place: Place, flow_id: str, bodies: list[bytes], count: int) -> None:
    place.ask("PUT", f"/flows/{flow_id}/label", json="first")
    _wait(bodies, count)


def _wait(bodies: list[bytes], count: int) -> None:
    deadline = time.monotonic() + 60
    while len(bodies) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(bodies)} of {count} events were received")
        time.sleep(0.01)
