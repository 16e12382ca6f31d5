"""GET under load: a Flow, and pages of its Segments."""

from __future__ import annotations

from dataclasses import dataclass

from tools.bench.figures import Bar, Figure
from tools.bench.hotpaths import READ_PATHS
from tools.bench.load import Load, drive
from tools.bench.servers import Server
from tools.bench.site import Site


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of request, a name in `READ_PATHS`, and what is asked of it."""

    name: str
    rate_bar: Bar | None = None
    cpu_bar: Bar | None = None


READINGS = (
    Asked("flow", rate_bar=Bar("ratio", "at least", 0.6)),
    Asked("page-100", cpu_bar=Bar("ratio", "at most", 2.0)),
    Asked("page-1000"),
    Asked("page-1000-no-urls", cpu_bar=Bar("ratio", "at most", 1.5)),
)


class Reading:
    """Requests a second, CPU a request and latency of one kind of request, beside the floor of the same name."""

    def __init__(self, asked: Asked) -> None:
        self.name = asked.name
        self._asked = asked
        self._store = _Samples()
        self._floor = _Samples()

    def prepare(self, site: Site) -> None:
        """Ask for it some times, so that both servers have done it before."""
        for server, path in self._sides(site):
            drive(server, path, 0.3)

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """One after the other, for `seconds` each."""
        sides = list(zip((self._store, self._floor), self._sides(site), strict=True))
        for samples, (server, path) in reversed(sides) if floor_first else sides:
            before = server.cpu()
            load = drive(server, path, seconds)
            samples.add(load, server.cpu() - before)
            site.generator.note(load)

    def figures(self) -> list[Figure]:
        """The lines of the table."""
        store, floor, asked = self._store, self._floor, self._asked
        return [
            Figure(f"{self.name}: requests", "/s", store.rates, floor.rates, asked.rate_bar),
            Figure(f"{self.name}: CPU", "ms", store.cpu, floor.cpu, asked.cpu_bar),
            Figure(f"{self.name}: latency p50", "ms", store.p50, floor.p50),
            Figure(f"{self.name}: latency p99", "ms", store.p99, floor.p99),
        ]

    def _sides(self, site: Site) -> tuple[tuple[Server, str], tuple[Server, str]]:
        return (site.store, READ_PATHS[self.name](site.flow_id)), (site.floors, f"/{self.name}")


class _Samples:
    """Of one side: per second, and milliseconds."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self.p50: list[float] = []
        self.p99: list[float] = []

    def add(self, load: Load, cpu: float) -> None:
        self.rates.append(load.requests / load.seconds)
        self.cpu.append(1000 * cpu / load.requests)
        self.p50.append(1000 * load.p50)
        self.p99.append(1000 * load.p99)
