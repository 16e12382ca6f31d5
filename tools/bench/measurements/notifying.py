"""Events to webhooks: time from commit to receipt, and events per second of one worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from typing_extensions import override

from tests.support.webhook_receiver import Receiver, Request
from tools.bench.documents import segments
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection
from tools.bench.load import quantile
from tools.bench.measurements.measurement import Measurement
from tools.bench.site import Site, allocate, make_flow

_PER_SECOND: Final = 100
_BACKLOG: Final = 1000
_WEBHOOKS: Final = 4
_TIMEOUT: Final = 120  # seconds
_TAMS: Final = Path(sys.executable).with_name("tams")
_WITHIN_A_SECOND: Final = Bar("value", "at most", 1000)


class Notifying(Measurement):
    """Uses a separate store, database and receiver, so that other measurements cause no events in it."""

    name = "notify"

    def __init__(self) -> None:
        self._p50: list[float] = []
        self._p99: list[float] = []
        self._rates: list[float] = []

    @override
    def prepare(self, site: Site) -> None:
        pass  # each sample starts with an empty store

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        # Registrations for `seconds`; then a backlog, sent by one worker.
        folder = site.directory / f"{self.name}-{len(self._p50)}"
        folder.mkdir()
        environment = {
            "ENVIRONMENT": "development",
            "TAMS_DATA_DIR": str(folder / "data"),
            "TAMS_DATABASE_URL": site.databases.new(self.name),
            "TAMS_OUTBOUND_ALLOW": "127.0.0.1",
        }
        receiver = Receiver(folder)
        try:
            with _run(environment, folder, "serve", "--port", "0") as port:
                self._sample_latency(port, receiver, int(seconds * _PER_SECOND))
            with _run(environment, folder, "serve", "--port", "0", "--no-worker") as port:
                self._sample_rate(port, receiver, environment, folder)
        finally:
            receiver.close()

    @override
    def figures(self) -> list[Figure]:
        return [
            Figure(f"{self.name}: commit to receipt, p50", "ms", self._p50),
            Figure(f"{self.name}: commit to receipt, p99", "ms", self._p99, bar=_WITHIN_A_SECOND),
            Figure(f"{self.name}: one worker", "events/s", self._rates),
        ]

    def _sample_latency(self, port: int, receiver: Receiver, count: int) -> None:
        with Connection(port) as connection:
            _register_webhook(connection, f"{receiver.url}/latency", ["flows/segments_added"])
            flow_id = make_flow(connection)
            ids = allocate(connection, flow_id, count)
            # The store notices its first webhook within half a second; the measurement starts after that.
            time.sleep(1)
            answered_at: dict[str, float] = {}
            start = time.monotonic()
            for number, object_id in enumerate(ids):
                time.sleep(max(0.0, start + number / _PER_SECOND - time.monotonic()))
                connection.expect(201, "POST", f"/flows/{flow_id}/segments", segments([object_id], number))
                answered_at[object_id] = time.time()
        received_at: dict[str, float] = {}
        for request in _wait(receiver, "/latency", count):
            received_at.setdefault(request.body["event"]["segments"][0]["object_id"], request.at)
        # An event may arrive before the response to the request that caused it.
        latencies = sorted(max(0.0, received_at[object_id] - at) * 1000 for object_id, at in answered_at.items())
        self._p50.append(quantile(latencies, 0.5))
        self._p99.append(quantile(latencies, 0.99))

    def _sample_rate(self, port: int, receiver: Receiver, environment: dict[str, str], folder: Path) -> None:
        with Connection(port) as connection:
            flow_id = make_flow(connection)
            for number in range(_WEBHOOKS):
                _register_webhook(connection, f"{receiver.url}/rate", ["flows/updated"], tags={"number": str(number)})
            for number in range(_BACKLOG // _WEBHOOKS):
                connection.expect(204, "PUT", f"/flows/{flow_id}/label", str(number))
        with _worker(environment, folder):
            moments = [request.at for request in _wait(receiver, "/rate", _BACKLOG)]
        self._rates.append(len(moments) / (max(moments) - min(moments)))


def _register_webhook(connection: Connection, url: str, events: list[str], **properties: object) -> None:
    connection.expect(201, "POST", "/service/webhooks", {"url": url, "events": events, **properties})


def _wait(receiver: Receiver, path: str, count: int) -> list[Request]:
    deadline = time.monotonic() + _TIMEOUT
    while len(requests := receiver.requests(path)) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {len(requests)} of {count} events were received")
        time.sleep(0.3)
    return requests


@contextmanager
def _run(environment: dict[str, str], folder: Path, *command: str) -> Iterator[int]:
    """Run `tams` as a server and yield its port."""
    with (folder / "tams.log").open("a") as log:
        process = subprocess.Popen(
            [_TAMS, *command], env=_environment(environment), stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        match = re.search(r"serves http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        if match is None:
            raise RuntimeError(f"the store did not start:\n{(folder / 'tams.log').read_text()[-4000:]}")
        yield int(match[1])
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def _worker(environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / "tams.log").open("a") as log:
        process = subprocess.Popen([_TAMS, "worker"], env=_environment(environment), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")} | variables
