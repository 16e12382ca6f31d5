"""Pages of archives of different sizes, each in its own database; their latency should not depend on the size."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from typing_extensions import override

from tools.bench import servers
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection, request
from tools.bench.load import quantile
from tools.bench.measurements.measurement import Measurement
from tools.bench.servers import Server
from tools.bench.site import Site

LIMIT = 100
_ALIKE = Bar("ratio", "at most", 1.3)
_SMALL_FLOWS = 2 * LIMIT

_PLACES: dict[str, Callable[[int], str]] = {
    "begin": lambda size: "",
    "middle": lambda size: f"&timerange=[{size // 2}:0_",
    "end": lambda size: f"&timerange=[{size - LIMIT}:0_",
    "anywhere": lambda size: f"&timerange=[{random.randrange(size - LIMIT)}:0_",
}


class _Latencies(NamedTuple):
    """Milliseconds of each round, for one client that waits for each response: the median, and the 99th percentile."""

    p50: list[float]
    p99: list[float]


class Sizes(Measurement):
    """Pages of a hundred Segments of Flows of different sizes; the smallest Flow is the floor."""

    name = "sizes"

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._sizes = sizes
        self._stores: dict[int, tuple[Server, str]] = {}
        self._latencies = {(size, place): _Latencies([], []) for size in sizes for place in _PLACES}
        self._rates: dict[int, float] = {}

    @override
    def prepare(self, site: Site) -> None:
        for size in self._sizes:
            archive = site.archives.get(f"segments-{size}", flows=1, segments=size)
            self._rates[size] = size / archive.seconds
            store = site.stack.enter_context(servers.store(archive.data, TAMS_DATABASE_URL=archive.url))
            with Connection(store.port) as connection:
                (flow,) = connection.expect(200, "GET", "/flows").json()
            self._stores[size] = store, flow["id"]

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        for place in _PLACES:
            for size in self._sizes if floor_first else reversed(self._sizes):
                store, flow_id = self._stores[size]
                seconds_of_pages = list(_pages(store, size, flow_id, place, seconds / 3))
                latencies = self._latencies[size, place]
                latencies.p50.append(1000 * quantile(seconds_of_pages, 0.5))
                latencies.p99.append(1000 * quantile(seconds_of_pages, 0.99))

    @override
    def figures(self) -> list[Figure]:
        floor, *larger = self._sizes
        return [
            *(
                Figure(
                    f"sizes: page, {size:,} Segments, {place}", "ms", at.p50, self._latencies[floor, place].p50, _ALIKE
                )
                for size in larger
                for place in _PLACES
                for at in (self._latencies[size, place],)
            ),
            *(
                Figure(f"sizes: page, {size:,} Segments, {place}, p99", "ms", at.p99, self._latencies[floor, place].p99)
                for size in larger
                for place in ("anywhere",)
                for at in (self._latencies[size, place],)
            ),
            *(Figure(f"sizes: filling, {size:,} Segments", "/s", [self._rates[size]]) for size in larger),
        ]


def _pages(store: Server, size: int, flow_id: str, place: str, seconds: float) -> Iterator[float]:
    """Request pages one after the other for some seconds; yield the seconds that each took, in ascending order."""
    path = f"/flows/{flow_id}/segments?limit={LIMIT}"
    with Connection(store.port) as connection:
        yield from sorted(_timed(connection, lambda: f"{path}{_PLACES[place](size)}", seconds))


def _timed(connection: Connection, path: Callable[[], str], seconds: float) -> Iterator[float]:
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end or count < 20:
        content = request("GET", path())
        start = time.perf_counter()
        response = connection.exchange(content)
        elapsed = time.perf_counter() - start
        if response.status != 200 or response.body.count(b'"object_id"') != LIMIT:
            raise RuntimeError(f"GET {path()} was answered with {response.status}: {response.body[:500]!r}")
        # The first requests fill the caches and open the connections of the processes; they do not count.
        if count >= 10:
            yield elapsed
        count += 1


class ManyFlows(Measurement):
    """Pages of a hundred Flows of a large archive, at the beginning, in the middle and at the end."""

    name = "flows"

    def __init__(self, count: int) -> None:
        self._count = count
        self._paths: dict[str, list[tuple[Server, str]]] = {}
        self._latencies: dict[str, tuple[list[float], list[float]]] = {}

    @override
    def prepare(self, site: Site) -> None:
        stores = []
        for count in (_SMALL_FLOWS, self._count):
            archive = site.archives.get(f"flows-{count}", flows=count, segments=1)
            store = servers.store(archive.data, TAMS_DATABASE_URL=archive.url)
            stores.append(site.stack.enter_context(store))
        small, large = stores
        paths = list(_page_paths(large))
        for place, path in (("begin", paths[0]), ("middle", paths[len(paths) // 2]), ("end", paths[-1])):
            self._paths[place] = [(large, path), (small, f"/flows?limit={LIMIT}")]
            self._latencies[place] = [], []

    @override
    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        for place, sides in self._paths.items():
            pairs = list(zip(self._latencies[place], sides, strict=True))
            for latencies, (store, path) in reversed(pairs) if floor_first else pairs:
                with Connection(store.port) as connection:
                    page_seconds = sorted(_listed(connection, path, seconds / 3))
                latencies.append(1000 * quantile(page_seconds, 0.5))

    @override
    def figures(self) -> list[Figure]:
        return [
            Figure(f"flows: page, {self._count:,} Flows, {place}", "ms", large, small, _ALIKE)
            for place, (large, small) in self._latencies.items()
        ]


def _listed(connection: Connection, path: str, seconds: float) -> Iterator[float]:
    end = time.perf_counter() + seconds
    content = request("GET", path)
    for count in range(1_000_000):
        start = time.perf_counter()
        response = connection.exchange(content)
        elapsed = time.perf_counter() - start
        if response.status != 200:
            raise RuntimeError(f"GET {path} was answered with {response.status}: {response.body[:500]!r}")
        if count >= 10:
            yield elapsed
            if time.perf_counter() > end:
                return


def _page_paths(store: Server) -> Iterator[str]:
    """Yield the paths of all pages of Flows."""
    path = f"/flows?limit={LIMIT}"
    with Connection(store.port) as connection:
        while path:
            yield path
            response = connection.expect(200, "GET", path)
            if len(json.loads(response.body)) != LIMIT:
                raise RuntimeError(f"GET {path} returned fewer than {LIMIT} Flows")
            path = _next_path(response.head)


def _next_path(head: bytes) -> str:
    """Return the path of the next page from the Link header, or "" on the last page."""
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "link":
            for link in value.split(","):
                if 'rel="next"' in link:
                    url = link.partition("<")[2].partition(">")[0]
                    return "/" + url.partition("://")[2].partition("/")[2]
    return ""
