"""Reads and writes at half the rate that the store can bear: latency in a half-idle store."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator

from typing_extensions import override

from tools.bench.documents import segments
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection, request
from tools.bench.load import spread
from tools.bench.measurements.measurement import Measurement
from tools.bench.paced import Mixed, PlannedRequest, drive_mixed
from tools.bench.servers import Server
from tools.bench.site import Site, allocate, make_flow

CLIENTS = 16
_FLOWS = 4
_SEGMENTS = 1000
_READS = 0.8
_ALLOCATED = 4000
"""Objects allocated before each load, for the writes to register."""
_MAX_AGE = 300
"""Seconds after which new Objects are allocated: the store removes unregistered ones after ten minutes."""

NO_ERROR = Bar("value", "at most", 0)


class Traffic:
    """Random requests: 80 % read a Flow or a page of its Segments, the rest register a Segment or change a tag of a
    Flow.

    The order in which they arrive makes no difference to the responses.
    """

    def __init__(self, store: Server) -> None:
        self._store = store
        # A fixed seed, so that every run sends the same requests.
        self._random = random.Random(1)
        self._numbers = itertools.count(_SEGMENTS)
        self._objects: dict[str, list[str]] = {}
        self._valid_until = 0.0
        with Connection(store.port) as connection:
            self._flows = [make_flow(connection) for _ in range(_FLOWS)]
            for flow_id in self._flows:
                ids = allocate(connection, flow_id, _SEGMENTS)
                connection.expect(201, "POST", f"/flows/{flow_id}/segments", segments(ids, 0))
                self._objects[flow_id] = []

    def requests(self, most: int = _ALLOCATED) -> Iterator[PlannedRequest]:
        """Yield requests without end, of which `most` register Segments; their storage is allocated now."""
        if time.monotonic() > self._valid_until:
            self._valid_until = time.monotonic() + _MAX_AGE
            for object_ids in self._objects.values():
                object_ids.clear()
        with Connection(self._store.port) as connection:
            for flow_id, object_ids in self._objects.items():
                object_ids.extend(allocate(connection, flow_id, most // _FLOWS - len(object_ids)))
        return self._requests()

    def _requests(self) -> Iterator[PlannedRequest]:
        while True:
            flow_id = self._random.choice(self._flows)
            flow = f"/flows/{flow_id}"
            kind = self._random.random()
            if kind < _READS / 2:
                yield PlannedRequest("read", request("GET", flow), 200)
            elif kind < _READS:
                start = self._random.randrange(_SEGMENTS - 100)
                yield PlannedRequest("read", request("GET", f"{flow}/segments?limit=100&timerange=[{start}:0_"), 200)
            elif kind < _READS + 0.15 and self._objects[flow_id]:
                body = segments([self._objects[flow_id].pop()], next(self._numbers))
                yield PlannedRequest("write", request("POST", f"{flow}/segments", body), 201)
            else:
                yield PlannedRequest("write", request("PUT", f"{flow}/tags/number", str(next(self._numbers))), 204)


class MixedLoad(Measurement):
    """Sixteen clients, of whose requests four in five read, at half the maximum rate."""

    name = "mixed"

    def __init__(self) -> None:
        self._traffic: Traffic
        self._capacity = 0.0
        self._loads: list[Mixed] = []

    @override
    def prepare(self, site: Site) -> None:
        self._traffic = Traffic(site.store)
        drive_mixed(spread(site.store, CLIENTS), self._traffic.requests(), 1.0)
        self._capacity = drive_mixed(spread(site.store, CLIENTS), self._traffic.requests(), 4.0).rate

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        requests = self._traffic.requests()
        self._loads.append(drive_mixed(spread(site.store, CLIENTS), requests, 2 * seconds, self._capacity / 2))

    @override
    def figures(self) -> list[Figure]:
        # The p50 takes the place of the floor of p99.
        figures = [
            Figure("mixed: capacity", "/s", [self._capacity]),
            Figure("mixed: load", "/s", [load.rate for load in self._loads]),
            Figure("mixed: errors", "", [sum(load.errors for load in self._loads)], bar=NO_ERROR),
        ]
        for kind, bar in (("read", Bar("ratio", "at most", 10)), ("write", None)):
            results = [load.read if kind == "read" else load.write for load in self._loads]
            p50 = [1000 * result.quantile(0.5) for result in results]
            p99 = [1000 * result.quantile(0.99) for result in results]
            figures.append(Figure(f"mixed: {kind}, p50", "ms", p50))
            figures.append(Figure(f"mixed: {kind}, p99 beside p50", "ms", p99, p50, bar))
        return figures
