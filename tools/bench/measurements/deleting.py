"""Deletion of a large Flow in the background: its speed, and how much longer other requests take in the meantime."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack

from typing_extensions import override

from tools.bench import archives, servers
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection
from tools.bench.load import spread
from tools.bench.measurements.measurement import Measurement
from tools.bench.measurements.mixed import CLIENTS, NO_ERROR, Traffic
from tools.bench.paced import Mixed, drive_mixed
from tools.bench.servers import Server
from tools.bench.site import Site

_MAX_SLOWDOWN = {"sqlite": 3.0, "postgresql": 2.0}
"""Largest ratio of the p99 latency during the deletion to that before it."""


class Deleting(Measurement):
    """Deletes the only Flow of a separate store, under a quarter of the load that the store can bear."""

    name = "deletion"

    def __init__(self, segments: int, rounds: int) -> None:
        self._segments = segments
        self._rounds = rounds
        self._bar: Bar | None = None
        self._before: list[Mixed] = []
        self._during: list[Mixed] = []
        self._rates: list[float] = []

    @override
    def prepare(self, site: Site) -> None:
        self._bar = Bar("ratio", "at most", _MAX_SLOWDOWN[site.databases.engine])
        print(f"  filling with {self._segments:,} Segments …", file=sys.stderr, flush=True)
        self._url = site.databases.new("deletion")
        archives.seed(self._url, site.directory / "deletion", "--segments", str(self._segments))
        site.databases.settle("deletion")

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        # The first round takes all samples, because the Flow can be deleted only once: windows of load before the
        # deletion, then as many during it.
        if self._before:
            return
        with ExitStack() as stack:
            store = stack.enter_context(servers.store(site.directory / "deletion", TAMS_DATABASE_URL=self._url))
            with Connection(store.port) as connection:
                (flow,) = connection.expect(200, "GET", "/flows").json()
            traffic = Traffic(store)
            drive_mixed(spread(store, CLIENTS), traffic.requests(), 1.0)
            pace = drive_mixed(spread(store, CLIENTS), traffic.requests(), 3.0).rate / 4
            duration = max(2.0, 1.5 * seconds)
            self._before = [
                drive_mixed(spread(store, CLIENTS), traffic.requests(), duration, pace) for _ in range(self._rounds)
            ]
            with Connection(store.port) as connection:
                start = time.monotonic()
                deletion = connection.expect(202, "DELETE", f"/flows/{flow['id']}").json()
            for _ in range(self._rounds):
                load = drive_mixed(spread(store, CLIENTS), traffic.requests(), duration, pace)
                remaining = _remaining(store, deletion["id"])
                if not remaining:
                    break
                self._during.append(load)
                self._rates.append((self._segments - remaining) / (time.monotonic() - start))
            if not self._during:
                raise RuntimeError("the deletion ended before its effect on other requests could be measured")
            self._before = self._before[: len(self._during)]

    @override
    def figures(self) -> list[Figure]:
        # The floor is the same load before the deletion.
        figures = [
            Figure("deletion: Segments", "/s", self._rates),
            Figure("deletion: load", "/s", [load.rate for load in self._during]),
            Figure("deletion: errors", "", [sum(load.errors for load in self._during)], bar=NO_ERROR),
        ]
        for kind in ("read", "write"):
            during, before = (
                [1000 * (load.read if kind == "read" else load.write).quantile(0.99) for load in loads]
                for loads in (self._during, self._before)
            )
            figures.append(Figure(f"deletion: {kind}, p99", "ms", during, before, self._bar))
        return figures


def _remaining(store: Server, request_id: str) -> int:
    """Return how many Segments, of one second each, are yet to be deleted."""
    with Connection(store.port) as connection:
        deletion = connection.expect(200, "GET", f"/flow-delete-requests/{request_id}").json()
    if deletion["status"] == "error":
        raise RuntimeError(f"the deletion failed: {deletion}")
    bounds = re.fullmatch(r"\[(\d+):0_(\d+):0\)", deletion["timerange_remaining"])
    return 0 if bounds is None or deletion["status"] == "done" else int(bounds[2]) - int(bounds[1])
