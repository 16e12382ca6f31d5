"""POST of Segments: Segments per second in lists of different lengths, from one client that waits for each response.

And the cost of looking for the bytes of their Objects (TAMS_VERIFY_UPLOADS=auto).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from typing_extensions import override

from tools.bench.barewrites import BareWrites
from tools.bench.documents import segments
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection, request
from tools.bench.load import quantile
from tools.bench.measurements.measurement import Measurement
from tools.bench.servers import Server, store
from tools.bench.site import Site, allocate, make_flow

SIZES = (1, 100, 1000)

# Number of lists in a sample by their length. One more list, sent before them, is not counted.
_LISTS = {1: 100, 100: 20, 1000: 5}
_BARS = {1000: Bar("ratio", "at least", 0.35)}
_VERIFIED = 1000
_VERIFIED_BAR = Bar("ratio", "at least", 0.85)


class Registering(Measurement):
    """Segments per second in lists of `size`, whose Objects were allocated before, as by a recorder."""

    def __init__(self, size: int, rounds: int) -> None:
        self.name = f"register-{size}"
        self._size = size
        self._rounds = rounds
        self._count = _LISTS[size] + 1
        self._registered = 0
        self._flow_id = ""
        self._rates: list[float] = []
        self._floors: list[float] = []
        self._cpu: list[float] = []
        self._p50: list[float] = []
        self._p99: list[float] = []

    @override
    def prepare(self, site: Site) -> None:
        with Connection(site.store.port) as connection:
            self._flow_id = make_flow(connection)
        self._bare = BareWrites(
            site.databases, site.directory / self.name, size=self._size, count=self._count, rounds=self._rounds
        )

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        # Both sides write the same number of lists, however long they take.
        if floor_first:
            self._sample_floor()
        self._sample_store(site)
        if not floor_first:
            self._sample_floor()

    @override
    def figures(self) -> list[Figure]:
        return [
            Figure(f"{self.name}: segments", "/s", self._rates, self._floors, _BARS.get(self._size)),
            Figure(f"{self.name}: CPU a list", "ms", self._cpu),
            Figure(f"{self.name}: latency p50", "ms", self._p50),
            Figure(f"{self.name}: latency p99", "ms", self._p99),
        ]

    def _sample_floor(self) -> None:
        lists = self._bare.replay()
        self._floors.append(self._size * len(lists) / sum(lists))

    def _sample_store(self, site: Site) -> None:
        seconds: list[float] = []
        with Connection(site.store.port) as connection:
            lists = self._lists(connection)
            before = 0.0
            for number, content in enumerate(lists):
                if number == 1:
                    before = site.store.cpu()
                start = time.perf_counter()
                response = connection.exchange(content)
                if number:
                    seconds.append(time.perf_counter() - start)
                if response.status != 201:
                    raise RuntimeError(f"the store refused Segments: {response.status} {response.body[:500]!r}")
            cpu = site.store.cpu() - before
        self._rates.append(self._size * len(seconds) / sum(seconds))
        self._cpu.append(1000 * cpu / len(seconds))
        self._p50.append(1000 * quantile(sorted(seconds), 0.5))
        self._p99.append(1000 * quantile(sorted(seconds), 0.99))

    def _lists(self, connection: Connection) -> Sequence[bytes]:
        """Return the requests, encoded before any of them is timed."""
        ids = allocate(connection, self._flow_id, self._size * self._count)
        lists = []
        for position in range(0, len(ids), self._size):
            body = segments(ids[position : position + self._size], self._registered)
            lists.append(request("POST", f"/flows/{self._flow_id}/segments", body))
            self._registered += self._size
        return lists


class Verifying(Measurement):
    """Segments per second in lists of 1000, with a look for the bytes of each Object, and without as the floor.

    Two stores of their own, so that the setting is all that differs. Both have the bytes.
    """

    name = f"verify-{_VERIFIED}"

    def __init__(self) -> None:
        self._stores: dict[str, tuple[Path, Server, str]] = {}
        self._registered = 0
        self._rates: dict[str, list[float]] = {"auto": [], "false": []}

    @override
    def prepare(self, site: Site) -> None:
        for setting in self._rates:
            data = site.directory / f"{self.name}-{setting}"
            url = site.databases.new(f"{self.name}-{setting}")
            server = site.stack.enter_context(store(data, TAMS_DATABASE_URL=url, TAMS_VERIFY_UPLOADS=setting))
            with Connection(server.port) as connection:
                self._stores[setting] = data, server, make_flow(connection)

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        count = _LISTS[_VERIFIED] + 1
        for setting in ("false", "auto") if floor_first else ("auto", "false"):
            data, server, flow_id = self._stores[setting]
            with Connection(server.port) as connection:
                lists = [
                    segments(_uploaded(connection, data, flow_id), self._registered + number * _VERIFIED)
                    for number in range(count)
                ]
                requests = [request("POST", f"/flows/{flow_id}/segments", body) for body in lists]
                times: list[float] = []
                for content in requests:
                    start = time.perf_counter()
                    response = connection.exchange(content)
                    times.append(time.perf_counter() - start)
                    if response.status != 201:
                        raise RuntimeError(f"the store refused Segments: {response.status} {response.body[:500]!r}")
            self._rates[setting].append(_VERIFIED * (count - 1) / sum(times[1:]))
        self._registered += count * _VERIFIED

    @override
    def figures(self) -> list[Figure]:
        name = f"{self.name}: segments"
        return [Figure(name, "/s", self._rates["auto"], self._rates["false"], _VERIFIED_BAR)]


def _uploaded(connection: Connection, data: Path, flow_id: str) -> list[str]:
    """Allocate storage for a list of Objects, store a byte for each, and return their ids."""
    answer = connection.expect(201, "POST", f"/flows/{flow_id}/storage", {"limit": _VERIFIED}).json()
    for item in answer["media_objects"]:
        # Written by hand: the store makes each upload durable, which would take most of the time of the measurement.
        directory, name = urlsplit(item["put_url"]["url"]).path.split("/")[-2:]
        (data / "media" / directory).mkdir(exist_ok=True)
        (data / "media" / directory / name).write_bytes(b"m")
    return [item["object_id"] for item in answer["media_objects"]]
