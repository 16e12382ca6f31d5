"""How much memory a worker process takes after the load of the other measurements."""

from __future__ import annotations

from tools.bench.figures import Bar, Figure
from tools.bench.site import Site

_MB = 1_000_000


class Memory:
    """The largest worker counts; the floor's workers are shown beside it."""

    name = "memory"

    def __init__(self) -> None:
        self._resident: list[float] = []
        self._proportional: list[float] = []
        self._floor_resident: list[float] = []
        self._floor_proportional: list[float] = []

    def prepare(self, site: Site) -> None:
        """Nothing: the other measurements are the load."""

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """As it is now; the last round has the most load behind it."""
        store, floor = site.store.memory(), site.floors.memory()
        self._resident.append(max(rss for rss, _ in store) / _MB)
        self._proportional.append(max(pss for _, pss in store) / _MB)
        self._floor_resident.append(max(rss for rss, _ in floor) / _MB)
        self._floor_proportional.append(max(pss for _, pss in floor) / _MB)

    def figures(self) -> list[Figure]:
        """The lines of the table: what was found in the last round."""
        return [
            Figure(
                "worker: resident", "MB", self._resident[-1:], self._floor_resident[-1:], Bar("value", "at most", 100)
            ),
            Figure("worker: proportional", "MB", self._proportional[-1:], self._floor_proportional[-1:]),
        ]
