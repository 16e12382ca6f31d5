"""VAST Database: the emulator's count of requests for each call, for events, and for pages of archives; and memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from tests.support.repository_steps import environment_of
from tests.support.vast_archive import costs_of_pages
from tests.support.vast_clusters import emulator_process
from tools.bench import servers, vast_calls
from tools.bench.documents import MAX_ALLOCATED, segments
from tools.bench.figures import Bar, Figure
from tools.bench.hotpaths import READ_PATHS
from tools.bench.http import Connection
from tools.bench.load import drive
from tools.bench.measurements.measurement import Measurement
from tools.bench.site import Site, allocate, make_flow

_MB = 1_000_000
_SECONDS, _PER_SECOND = 10.0, 10


class Vast(Measurement):
    """Counts, which do not vary between rounds: they are taken once, before the first round."""

    name = "vast"

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._figures: list[Figure] = []

    @override
    def prepare(self, site: Site) -> None:
        with tempfile.TemporaryDirectory() as directory, vast_calls.place(Path(directory)) as place:
            for call in vast_calls.CALLS:
                self._add(call.name, "requests", vast_calls.requests_of(place, call), call.bar)
        with tempfile.TemporaryDirectory() as directory, vast_calls.place(Path(directory)) as place:
            stream = vast_calls.stream(place, _SECONDS, _PER_SECOND)
            self._add(f"event, at {_PER_SECOND}/s", "requests", stream.per_event)
            self._add("idle worker", "requests/s", stream.idle_per_second)
        for count in self._sizes:
            for where, costs in costs_of_pages(count).items():
                self._add(f"page out of {count:,}, {where}", "requests", costs.requests)
                self._add(f"page out of {count:,}, {where}: sent", "rows", costs.rows_sent)
        self._add("worker: resident", "MB", _memory(site.directory / "vast", _SECONDS) / _MB, 220)

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        pass  # `prepare` has taken all counts

    @override
    def figures(self) -> list[Figure]:
        return self._figures

    def _add(self, name: str, unit: str, value: float, most: float | None = None) -> None:
        bar = None if most is None else Bar("value", "at most", most)
        self._figures.append(Figure(f"vast: {name}", unit, [value], bar=bar, engine="vast"))


def _memory(data: Path, seconds: float) -> float:
    """Return the resident bytes of the largest process that serves requests, after reads and writes."""
    with emulator_process() as url, servers.store(data, **environment_of(url)) as store:
        with Connection(store.port) as connection:
            flow_id = make_flow(connection)
            for first in range(0, 5 * MAX_ALLOCATED, MAX_ALLOCATED):
                ids = allocate(connection, flow_id, MAX_ALLOCATED)
                connection.expect(201, "POST", f"/flows/{flow_id}/segments", segments(ids, first))
        for path in READ_PATHS.values():
            drive(store, path(flow_id), seconds / 4)
        return max(resident for resident, _ in store.memory())
