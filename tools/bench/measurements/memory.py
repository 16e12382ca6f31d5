"""Memory of a worker process after the load of the other measurements."""

from __future__ import annotations

from typing_extensions import override

from tools.bench.figures import Bar, Figure
from tools.bench.measurements.measurement import Measurement
from tools.bench.site import Site

_MB = 1_000_000


class Memory(Measurement):
    """Measures the largest worker, of the store and of the floor."""

    name = "memory"

    def __init__(self) -> None:
        self._resident: list[float] = []
        self._proportional: list[float] = []
        self._floor_resident: list[float] = []
        self._floor_proportional: list[float] = []

    @override
    def prepare(self, site: Site) -> None:
        pass  # the other measurements are the load

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        # Every round measures the memory; `figures` uses the last one, which has the most load behind it.
        store, floor = site.store.memory(), site.floors.memory()
        self._resident.append(max(rss for rss, _ in store) / _MB)
        self._proportional.append(max(pss for _, pss in store) / _MB)
        self._floor_resident.append(max(rss for rss, _ in floor) / _MB)
        self._floor_proportional.append(max(pss for _, pss in floor) / _MB)

    @override
    def figures(self) -> list[Figure]:
        return [
            Figure(
                "worker: resident", "MB", self._resident[-1:], self._floor_resident[-1:], Bar("value", "at most", 100)
            ),
            Figure("worker: proportional", "MB", self._proportional[-1:], self._floor_proportional[-1:]),
        ]
