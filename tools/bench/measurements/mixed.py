"""Readers and writers together, at half of what the store can bear: how long clients wait in a store half idle."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator

from tools.bench.documents import segments
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection, request
from tools.bench.load import spread
from tools.bench.paced import Asked, Mixed, drive_mixed
from tools.bench.servers import Server
from tools.bench.site import Site, allocate, make_flow

CLIENTS = 16
_FLOWS = 4
_SEGMENTS = 1000
_READS = 0.8
_ALLOCATED = 4000
"""Objects for the writers to register, before each load."""
_FRESH = 300
"""Seconds after which new ones are asked for: after ten minutes the store takes back those that nobody registers."""

NO_ERROR = Bar("value", "at most", 0)


class Traffic:
    """Requests at random: eight of ten read a Flow or a page of its Segments, the others register a Segment, or change
    a tag of a Flow. The order in which they arrive makes no difference to the answers."""

    def __init__(self, store: Server) -> None:
        self._store = store
        # The same requests in each run.
        self._chosen = random.Random(1)
        self._next = itertools.count(_SEGMENTS)
        self._objects: dict[str, list[str]] = {}
        self._fresh_until = 0.0
        with Connection(store.port) as connection:
            self._flows = [make_flow(connection) for _ in range(_FLOWS)]
            for flow_id in self._flows:
                ids = allocate(connection, flow_id, _SEGMENTS)
                connection.expect(201, "POST", f"/flows/{flow_id}/segments", segments(ids, 0))
                self._objects[flow_id] = []

    def requests(self, most: int = _ALLOCATED) -> Iterator[Asked]:
        """Requests without end, of which `most` register Segments, whose storage is asked for now."""
        if time.monotonic() > self._fresh_until:
            self._fresh_until = time.monotonic() + _FRESH
            for left in self._objects.values():
                left.clear()
        with Connection(self._store.port) as connection:
            for flow_id, left in self._objects.items():
                left.extend(allocate(connection, flow_id, most // _FLOWS - len(left)))
        return self._requests()

    def _requests(self) -> Iterator[Asked]:
        while True:
            flow_id = self._chosen.choice(self._flows)
            flow = f"/flows/{flow_id}"
            kind = self._chosen.random()
            if kind < _READS / 2:
                yield Asked("read", request("GET", flow), 200)
            elif kind < _READS:
                start = self._chosen.randrange(_SEGMENTS - 100)
                yield Asked("read", request("GET", f"{flow}/segments?limit=100&timerange=[{start}:0_"), 200)
            elif kind < _READS + 0.15 and self._objects[flow_id]:
                body = segments([self._objects[flow_id].pop()], next(self._next))
                yield Asked("write", request("POST", f"{flow}/segments", body), 201)
            else:
                yield Asked("write", request("PUT", f"{flow}/tags/number", str(next(self._next))), 204)


class MixedLoad:
    """Sixteen clients, four of five requests read. Half of the pace that they reach where nobody waits."""

    name = "mixed"

    def __init__(self) -> None:
        self._traffic: Traffic
        self._capacity = 0.0
        self._loads: list[Mixed] = []

    def prepare(self, site: Site) -> None:
        """Find out what the store can bear."""
        self._traffic = Traffic(site.store)
        drive_mixed(spread(site.store, CLIENTS), self._traffic.requests(), 1.0)
        self._capacity = drive_mixed(spread(site.store, CLIENTS), self._traffic.requests(), 4.0).rate

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """Twice `seconds` of load at half of that."""
        requests = self._traffic.requests()
        self._loads.append(drive_mixed(spread(site.store, CLIENTS), requests, 2 * seconds, self._capacity / 2))

    def figures(self) -> list[Figure]:
        """The lines of the table; p50 stands as the floor of p99."""
        figures = [
            Figure("mixed: capacity", "/s", [self._capacity]),
            Figure("mixed: load", "/s", [load.rate for load in self._loads]),
            Figure("mixed: errors", "", [sum(load.errors for load in self._loads)], bar=NO_ERROR),
        ]
        for kind, bar in (("read", Bar("ratio", "at most", 10)), ("write", None)):
            answered = [load.read if kind == "read" else load.write for load in self._loads]
            p50 = [1000 * each.quantile(0.5) for each in answered]
            p99 = [1000 * each.quantile(0.99) for each in answered]
            figures.append(Figure(f"mixed: {kind}, p50", "ms", p50))
            figures.append(Figure(f"mixed: {kind}, p99 beside p50", "ms", p99, p50, bar))
        return figures
