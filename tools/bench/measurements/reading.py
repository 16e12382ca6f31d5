"""GET under load: a Flow, and pages of its Segments."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from tools.bench.figures import Bar, Figure
from tools.bench.hotpaths import READ_PATHS
from tools.bench.load import Load, drive
from tools.bench.measurements.measurement import Measurement
from tools.bench.servers import Server
from tools.bench.site import Site


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """A kind of request, by its name in `READ_PATHS`, and its bars."""

    name: str
    rate_bar: Bar | None = None
    cpu_bar: Bar | None = None


READINGS = (
    ReadSpec("flow", rate_bar=Bar("ratio", "at least", 0.6)),
    ReadSpec("page-100", cpu_bar=Bar("ratio", "at most", 2.0)),
    ReadSpec("page-1000"),
    ReadSpec("page-1000-no-urls", cpu_bar=Bar("ratio", "at most", 1.5)),
)


class Reading(Measurement):
    """Rate, CPU time and latency of one kind of request, with the floor of the same name."""

    def __init__(self, spec: ReadSpec) -> None:
        self.name = spec.name
        self._spec = spec
        self._store = _Samples()
        self._floor = _Samples()

    @override
    def prepare(self, site: Site) -> None:
        # Warm up both servers.
        for server, path in self._sides(site):
            drive(server, path, 0.3)

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        sides = list(zip((self._store, self._floor), self._sides(site), strict=True))
        for samples, (server, path) in reversed(sides) if floor_first else sides:
            before = server.cpu()
            load = drive(server, path, seconds)
            samples.add(load, server.cpu() - before)
            site.generator.note(load)

    @override
    def figures(self) -> list[Figure]:
        store, floor, spec = self._store, self._floor, self._spec
        return [
            Figure(f"{self.name}: requests", "/s", store.rates, floor.rates, spec.rate_bar),
            Figure(f"{self.name}: CPU", "ms", store.cpu, floor.cpu, spec.cpu_bar),
            Figure(f"{self.name}: latency p50", "ms", store.p50, floor.p50),
            Figure(f"{self.name}: latency p99", "ms", store.p99, floor.p99),
        ]

    def _sides(self, site: Site) -> tuple[tuple[Server, str], tuple[Server, str]]:
        return (site.store, READ_PATHS[self.name](site.flow_id)), (site.floors, f"/{self.name}")


class _Samples:
    """The samples of one side: requests per second, and milliseconds."""

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
