"""POST of Segments: how many a second in lists of different lengths, one client that waits for each answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tools.bench.barewrites import BareWrites
from tools.bench.documents import segments
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection, request
from tools.bench.load import quantile
from tools.bench.site import Site, allocate, make_flow

SIZES = (1, 100, 1000)

# Lists of each length in a sample; one more, before them, is not counted.
_LISTS = {1: 100, 100: 20, 1000: 5}
_BARS = {1000: Bar("ratio", "at least", 0.35)}


class Registering:
    """Segments a second in lists of `size`, their Objects allocated before, as a recorder does it."""

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

    def prepare(self, site: Site) -> None:
        """A Flow of its own in the store; and the rows that the floor is to write."""
        with Connection(site.store.port) as connection:
            self._flow_id = make_flow(connection)
        self._bare = BareWrites(site.databases, site.directory / self.name, self._size, self._count, self._rounds)

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """The same number of lists on either side, however long they take."""
        if floor_first:
            self._sample_floor()
        self._sample_store(site)
        if not floor_first:
            self._sample_floor()

    def figures(self) -> list[Figure]:
        """The lines of the table."""
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
        took: list[float] = []
        with Connection(site.store.port) as connection:
            lists = self._lists(connection)
            before = 0.0
            for number, content in enumerate(lists):
                if number == 1:
                    before = site.store.cpu()
                began = time.perf_counter()
                answer = connection.exchange(content)
                if number:
                    took.append(time.perf_counter() - began)
                if answer.status != 201:
                    raise RuntimeError(f"segments were refused: {answer.status} {answer.body[:500]!r}")
            cpu = site.store.cpu() - before
        self._rates.append(self._size * len(took) / sum(took))
        self._cpu.append(1000 * cpu / len(took))
        self._p50.append(1000 * quantile(sorted(took), 0.5))
        self._p99.append(1000 * quantile(sorted(took), 0.99))

    def _lists(self, connection: Connection) -> Sequence[bytes]:
        """The requests, written before any of them is timed."""
        ids = allocate(connection, self._flow_id, self._size * self._count)
        lists = []
        for position in range(0, len(ids), self._size):
            body = segments(ids[position : position + self._size], self._registered)
            lists.append(request("POST", f"/flows/{self._flow_id}/segments", body))
            self._registered += self._size
        return lists
