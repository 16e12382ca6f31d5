"""A profile of one hot path: the application in this process, under cProfile."""

from __future__ import annotations

import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

from tams.serving.application import settle_garbage_collection
from tools.bench import databases
from tools.bench.databases import Engine
from tools.bench.documents import MAX_ALLOCATED, flow, segments
from tools.bench.hotpaths import READ_PATHS
from tools.bench.inprocess import InProcess

REGISTERING = {"register-1": 1, "register-100": 100, "register-1000": 1000}
NAMES = (*READ_PATHS, *REGISTERING)

_LINES = 45
_CALLS = {"flow": 2000, "page-100": 500, "register-1": 300, "register-100": 40, "register-1000": 10}
_FEWER_CALLS = 100


def profile(name: str, order: str, engine: Engine) -> None:
    """Print how long a request of that name takes, and the functions that take most of the time."""
    with (
        tempfile.TemporaryDirectory(prefix="tams-profile-") as directory,
        databases.opened(engine, Path(directory)) as engine_databases,
    ):
        store = InProcess(Path(directory, "data"), engine_databases.new("profile"))
        settle_garbage_collection()
        calls = _CALLS.get(name, _FEWER_CALLS)
        requests = _requests(store, name, 3 * calls)
        for _ in range(calls):
            next(requests)()
        start, cpu = time.perf_counter(), time.thread_time()
        for _ in range(calls):
            next(requests)()
        wall, cpu = time.perf_counter() - start, time.thread_time() - cpu
        figures = f"{1000 * cpu / calls:.3f} ms of CPU, {1000 * wall / calls:.3f} ms"
        print(f"{name} on {engine}: {figures}, in process ({calls} calls)")
        profiler = cProfile.Profile()
        for _ in range(calls):
            call = next(requests)
            profiler.enable()
            call()
            profiler.disable()
        store.close()
        pstats.Stats(profiler).strip_dirs().sort_stats(order).print_stats(_LINES)


def _requests(store: InProcess, name: str, count: int) -> Iterator[Callable[[], None]]:
    flow_id = str(uuid4())
    _expect(store, 201, "PUT", f"/flows/{flow_id}", json.dumps(flow(flow_id)).encode())
    if name in REGISTERING:
        size = REGISTERING[name]
        ids = _allocate(store, flow_id, size * count)
        for number in range(count):
            first = number * size
            content = json.dumps(segments(ids[first : first + size], first)).encode()
            yield partial(_expect, store, 201, "POST", f"/flows/{flow_id}/segments", content)
    else:
        ids = _allocate(store, flow_id, 2 * MAX_ALLOCATED)
        for first in range(0, len(ids), MAX_ALLOCATED):
            content = json.dumps(segments(ids[first : first + MAX_ALLOCATED], first)).encode()
            _expect(store, 201, "POST", f"/flows/{flow_id}/segments", content)
        path = READ_PATHS[name](flow_id)
        for _ in range(count):
            yield partial(_expect, store, 200, "GET", path)


def _allocate(store: InProcess, flow_id: str, count: int) -> list[str]:
    ids: list[str] = []
    while len(ids) < count:
        body = json.dumps({"limit": min(MAX_ALLOCATED, count - len(ids))}).encode()
        response = store.exchange("POST", f"/flows/{flow_id}/storage", body)
        ids += [item["object_id"] for item in response.json()["media_objects"]]
    return ids


def _expect(store: InProcess, status: int, method: str, path: str, content: bytes = b"") -> None:
    response = store.exchange(method, path, content)
    if response.status != status:
        raise RuntimeError(f"{method} {path} was answered with {response.status}: {response.body[:500]!r}")
