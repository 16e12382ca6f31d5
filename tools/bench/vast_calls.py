"""Calls of the API on VAST Database, and the most requests to the cluster that each may take.

Nobody else is there, and pages are of the ordinary size.
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

_CALLS_AT_ONCE = 1000


class Place(NamedTuple):
    """A store on an emulator in this process, with some Flows in it."""

    emulator: Emulator
    store: Store
    client: FlaskClient
    flow_id: str

    def ask(self, method: str, path: str, **more: Any) -> None:
        """One call, which succeeds."""
        answer = self.client.open(path, method=method, **more)
        assert answer.status_code < 300, answer.text


class Call(NamedTuple):
    """`prepare` makes what the call needs and returns it; `most` requests may it take, and `bar` it should."""

    name: str
    most: int
    prepare: Callable[[Place], Callable[[], None]]
    bar: int | None = None


@contextmanager
def place(directory: Path) -> Iterator[Place]:
    """A store with a hundred Flows, one of which has Segments."""
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
        made = Place(emulator, app.extensions[STORE], client, flows[0])
        yield made
        made.store.repository.close()


def requests_of(place: Place, call: Call) -> int:
    """What the cluster is asked; the second time, when the metadata of the tables are known."""
    call.prepare(place)()
    ready = call.prepare(place)
    with place.emulator.counting() as counts:
        ready()
    return counts.total


def _reads(path: str) -> Callable[[Place], Callable[[], None]]:
    return lambda place: lambda: place.ask("GET", path.format(place.flow_id))


def void(_result: object) -> None:
    """Drop the result of a call."""


def _put_new(place: Place) -> Callable[[], None]:
    return lambda: void(make_flow(place.client))


def _put_again(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    document = {**(place.client.get(f"/flows/{flow_id}").json or {}), "label": "changed"}
    kept = {name: value for name, value in document.items() if name not in _READ_ONLY}
    return lambda: place.ask("PUT", f"/flows/{flow_id}", json=kept)


_READ_ONLY = {"created", "metadata_updated", "segments_updated", "created_by", "updated_by", "collected_by"}


def _register(place: Place) -> Callable[[], None]:
    flow_id = make_flow(place.client)
    segments = [
        {"object_id": object_id, "timerange": f"[{n}:0_{n + 1}:0)"}
        for n, object_id in enumerate(allocate(place.client, flow_id, _CALLS_AT_ONCE))
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
    """What a worker asked of the cluster, besides the changes themselves."""

    events: int
    requests: int
    idle_per_second: float

    @property
    def per_event(self) -> float:
        """Requests for sharing out and sending an event, the looks for more included."""
        return self.requests / self.events


def stream(place: Place, seconds: float, per_second: int) -> Stream:
    """A worker and one webhook: first with nothing to do, then with a steady stream of changes."""
    flow_id = make_flow(place.client)
    change = requests_of(place, next(call for call in CALLS if call.prepare is _label))
    stop = threading.Event()
    with receiver(answering("204 No Content", b"")) as there:
        body = {"url": f"http://127.0.0.1:{there.port}/", "events": ["flows/updated"]}
        place.ask("POST", "/service/webhooks", json=body)
        working = threading.Thread(target=worker.run, args=(place.store, stop))
        working.start()
        try:
            _send(place, flow_id, there.bodies, 1)
            time.sleep(3)  # the watchfulness after an event is over
            with place.emulator.counting() as idle:
                time.sleep(seconds)
            idle_total = idle.total
            count = int(seconds * per_second)
            with place.emulator.counting() as counts:
                began = time.monotonic()
                for number in range(count):
                    place.ask("PUT", f"/flows/{flow_id}/label", json=str(number))
                    time.sleep(max(0.0, began + (number + 1) / per_second - time.monotonic()))
                _wait(there.bodies, count + 1)
            return Stream(count, counts.total - count * change, idle_total / seconds)
        finally:
            stop.set()
            working.join()


def _send(place: Place, flow_id: str, bodies: list[bytes], count: int) -> None:
    place.ask("PUT", f"/flows/{flow_id}/label", json="first")
    _wait(bodies, count)


def _wait(bodies: list[bytes], count: int) -> None:
    deadline = time.monotonic() + 60
    while len(bodies) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(bodies)} of {count} events came")
        time.sleep(0.01)
