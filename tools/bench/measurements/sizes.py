"""Pages of archives of different sizes, each in a database of its own: they take as long in a large one."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tools.bench import servers
from tools.bench.figures import Bar, Figure
from tools.bench.http import Connection, request
from tools.bench.load import quantile
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
    """Milliseconds: of each round the median for one client that waits for each answer, and the longest of 99 %."""

    p50: list[float]
    p99: list[float]


class Sizes:
    """Pages of a hundred Segments of Flows that have so many Segments; those of the smallest Flow are the floor."""

    name = "sizes"

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._sizes = sizes
        self._stores: dict[int, tuple[Server, str]] = {}
        self._found = {(size, place): _Latencies([], []) for size in sizes for place in _PLACES}
        self._rates: dict[int, float] = {}

    def prepare(self, site: Site) -> None:
        """Fill the archives that are not there, and serve each."""
        for size in self._sizes:
            archive = site.archives.get(f"segments-{size}", flows=1, segments=size)
            self._rates[size] = size / archive.seconds
            store = site.stack.enter_context(servers.store(archive.data, TAMS_DATABASE_URL=archive.url))
            with Connection(store.port) as connection:
                (flow,) = connection.expect(200, "GET", "/flows").json()
            self._stores[size] = store, flow["id"]

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """Each place of each archive in turn, for a part of `seconds`."""
        for place in _PLACES:
            for size in self._sizes if floor_first else reversed(self._sizes):
                store, flow_id = self._stores[size]
                took = list(_pages(store, size, flow_id, place, seconds / 3))
                found = self._found[size, place]
                found.p50.append(1000 * quantile(took, 0.5))
                found.p99.append(1000 * quantile(took, 0.99))

    def figures(self) -> list[Figure]:
        """The lines of the table."""
        floor, *larger = self._sizes
        return [
            *(
                Figure(f"sizes: page, {size:,} Segments, {place}", "ms", at.p50, self._found[floor, place].p50, _ALIKE)
                for size in larger
                for place in _PLACES
                for at in (self._found[size, place],)
            ),
            *(
                Figure(f"sizes: page, {size:,} Segments, {place}, p99", "ms", at.p99, self._found[floor, place].p99)
                for size in larger
                for place in ("anywhere",)
                for at in (self._found[size, place],)
            ),
            *(Figure(f"sizes: filling, {size:,} Segments", "/s", [self._rates[size]]) for size in larger),
        ]


def _pages(store: Server, size: int, flow_id: str, place: str, seconds: float) -> Iterator[float]:
    """Ask for pages, one after the other, for so long; how long each took, in order."""
    path = f"/flows/{flow_id}/segments?limit={LIMIT}"
    with Connection(store.port) as connection:
        yield from sorted(_timed(connection, lambda: f"{path}{_PLACES[place](size)}", seconds))


def _timed(connection: Connection, path: Callable[[], str], seconds: float) -> Iterator[float]:
    end = time.perf_counter() + seconds
    asked = 0
    while time.perf_counter() < end or asked < 20:
        content = request("GET", path())
        began = time.perf_counter()
        answer = connection.exchange(content)
        took = time.perf_counter() - began
        if answer.status != 200 or answer.body.count(b'"object_id"') != LIMIT:
            raise RuntimeError(f"GET {path()} was answered with {answer.status}: {answer.body[:500]!r}")
        # The first ones open the page caches and connections of the processes.
        if asked >= 10:
            yield took
        asked += 1


class ManyFlows:
    """Pages of a hundred of so many Flows, at the beginning, in the middle and at the end."""

    name = "flows"

    def __init__(self, count: int) -> None:
        self._count = count
        self._paths: dict[str, list[tuple[Server, str]]] = {}
        self._found: dict[str, tuple[list[float], list[float]]] = {}

    def prepare(self, site: Site) -> None:
        """Fill the archives, serve each, and find the keys of the pages."""
        stores = []
        for count in (_SMALL_FLOWS, self._count):
            archive = site.archives.get(f"flows-{count}", flows=count, segments=1)
            store = servers.store(archive.data, TAMS_DATABASE_URL=archive.url)
            stores.append(site.stack.enter_context(store))
        small, large = stores
        keys = list(_keys(large))
        for place, key in (("begin", keys[0]), ("middle", keys[len(keys) // 2]), ("end", keys[-1])):
            self._paths[place] = [(large, key), (small, f"/flows?limit={LIMIT}")]
            self._found[place] = [], []

    def sample(self, site: Site, seconds: float, *, floor_first: bool) -> None:
        """Each page in turn, for a part of `seconds`."""
        for place, sides in self._paths.items():
            pairs = list(zip(self._found[place], sides, strict=True))
            for found, (store, path) in reversed(pairs) if floor_first else pairs:
                with Connection(store.port) as connection:
                    took = sorted(_listed(connection, path, seconds / 3))
                found.append(1000 * quantile(took, 0.5))

    def figures(self) -> list[Figure]:
        """The lines of the table."""
        return [
            Figure(f"flows: page, {self._count:,} Flows, {place}", "ms", large, small, _ALIKE)
            for place, (large, small) in self._found.items()
        ]


def _listed(connection: Connection, path: str, seconds: float) -> Iterator[float]:
    end = time.perf_counter() + seconds
    content = request("GET", path)
    for asked in range(1_000_000):
        began = time.perf_counter()
        answer = connection.exchange(content)
        took = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"GET {path} was answered with {answer.status}: {answer.body[:500]!r}")
        if asked >= 10:
            yield took
            if time.perf_counter() > end:
                return


def _keys(store: Server) -> Iterator[str]:
    """The paths of all pages of Flows."""
    path = f"/flows?limit={LIMIT}"
    with Connection(store.port) as connection:
        while path:
            yield path
            answer = connection.expect(200, "GET", path)
            if len(json.loads(answer.body)) != LIMIT:
                raise RuntimeError(f"{path} is no whole page")
            path = _next(answer.head)


def _next(head: bytes) -> str:
    """The path of the next page, by the Link header; none where this is the last one."""
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "link":
            for link in value.split(","):
                if 'rel="next"' in link:
                    url = link.partition("<")[2].partition(">")[0]
                    return "/" + url.partition("://")[2].partition("/")[2]
    return ""
