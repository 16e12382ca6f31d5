"""Deleting a large Flow in the background: how much longer everybody else waits meanwhile, and how fast it goes."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack

from tools.bench import archives, servers
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection
from tools.bench.load import spread
from tools.bench.measurements.mixed import CLIENTS, NO_ERROR, Traffic
from tools.bench.paced import Mixed, drive_mixed
from tools.bench.servers import Server
from tools.bench.site import Site

_LONGER = {"sqlite": 3.0, "postgresql": 2.0}
"""How many times as long the slowest of a hundred requests may take while it goes on."""


class Deleting:
    """On a store of its own with one Flow of so many Segments, beside a quarter of the load that it can bear."""

    name = "deletion"

    def __init__(self, segments: int, rounds: int) -> None:
        self._segments = segments
        self._rounds = rounds
        self._bar: Bar | None = None
        self._before: list[Mixed] = []
        self._during: list[Mixed] = []
        self._rates: list[float] = []

    def prepare(self, site: Site) -> None:
        """Fill the database."""
        self._bar = Bar("ratio", "at most", _LONGER[site.databases.engine])
        print(f"  filling with {self._segments:,} Segments …", file=sys.stderr, flush=True)
        self._url = site.databases.new("deletion")
        archives.seed(self._url, site.directory / "deletion", "--segments", str(self._segments))
        site.databases.settle("deletion")

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """All of it in the first round: what is deleted is gone. Windows of load before, then as many meanwhile."""
        if self._before:
            return
        with ExitStack() as stack:
            store = stack.enter_context(servers.store(site.directory / "deletion", TAMS_DATABASE_URL=self._url))
            with Connection(store.port) as connection:
                (flow,) = connection.expect(200, "GET", "/flows").json()
            traffic = Traffic(store)
            drive_mixed(spread(store, CLIENTS), traffic.requests(), 1.0)
            pace = drive_mixed(spread(store, CLIENTS), traffic.requests(), 3.0).rate / 4
            length = max(2.0, 1.5 * seconds)
            self._before = [
                drive_mixed(spread(store, CLIENTS), traffic.requests(), length, pace) for _ in range(self._rounds)
            ]
            with Connection(store.port) as connection:
                began = time.monotonic()
                request = connection.expect(202, "DELETE", f"/flows/{flow['id']}").json()
            for _ in range(self._rounds):
                load = drive_mixed(spread(store, CLIENTS), traffic.requests(), length, pace)
                left = _left(store, request["id"])
                if not left:
                    break
                self._during.append(load)
                self._rates.append((self._segments - left) / (time.monotonic() - began))
            if not self._during:
                raise RuntimeError("the deletion ended too soon to see what it does to others")
            self._before = self._before[: len(self._during)]

    def figures(self) -> list[Figure]:
        """The lines of the table; the floor is the same load before."""
        figures = [
            Figure("deletion: Segments", "/s", self._rates),
            Figure("deletion: load", "/s", [load.rate for load in self._during]),
            Figure("deletion: errors", "", [sum(load.errors for load in self._during)], bar=NO_ERROR),
        ]
        for kind in ("read", "write"):
            meanwhile, before = (
                [1000 * (load.read if kind == "read" else load.write).quantile(0.99) for load in loads]
                for loads in (self._during, self._before)
            )
            figures.append(Figure(f"deletion: {kind}, p99", "ms", meanwhile, before, self._bar))
        return figures


def _left(store: Server, request_id: str) -> int:
    """How many Segments, which are seconds, the deletion has still to remove."""
    with Connection(store.port) as connection:
        shown = connection.expect(200, "GET", f"/flow-delete-requests/{request_id}").json()
    if shown["status"] == "error":
        raise RuntimeError(f"the deletion failed: {shown}")
    marks = re.fullmatch(r"\[(\d+):0_(\d+):0\)", shown["timerange_remaining"])
    return 0 if marks is None or shown["status"] == "done" else int(marks[2]) - int(marks[1])
