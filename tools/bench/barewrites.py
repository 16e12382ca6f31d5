"""The floor of registration: the rows that the store writes, written by the driver in a process that does nothing else.

The rows are those of real requests. They are recorded on a store in this process, and replayed on a copy that was made
of its database before the requests.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from tools.bench.databases import Databases
from tools.bench.documents import MAX_ALLOCATED, flow, segments
from tools.bench.http import Response
from tools.bench.inprocess import InProcess
from tools.bench.statements import recording

_ROOT = Path(__file__).parents[2]


class BareWrites:
    """`rounds` rounds of `count` lists of `size` Segments; the first list of each round is not counted."""

    def __init__(self, databases: Databases, directory: Path, *, size: int, count: int, rounds: int) -> None:
        directory.mkdir()
        self._plans = [directory / f"round-{number}" for number in range(rounds)]
        self._next = 0
        self._database = _record(databases, directory, self._plans, size, count)

    def replay(self) -> list[float]:
        """Write the rows of the next round; return the seconds that each list took."""
        plan = self._plans[self._next]
        self._next += 1
        command = [sys.executable, "-m", __spec__.name, self._database, str(plan)]
        process = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_ROOT)
        seconds: list[float] = json.loads(process.stdout)
        return seconds[1:]


def _record(databases: Databases, directory: Path, plans: list[Path], size: int, count: int) -> str:
    """Write the plans; return the URL of the database that they apply to."""
    with recording() as recorder:
        url = databases.new(f"recorded-{size}")
        store = InProcess(directory / "data", url)
        flow_id = str(uuid4())
        _expect(store.exchange("PUT", f"/flows/{flow_id}", json.dumps(flow(flow_id)).encode()))
        total = size * count * len(plans)
        ids = list(_allocate(store, flow_id, total))
        store.close()
        floor = databases.copy(f"recorded-{size}", f"floor-{size}")
        bodies = segments(ids, 0)
        position = 0
        for plan in plans:
            lists = []
            for _ in range(count):
                recorder.clear()
                content = json.dumps(bodies[position : position + size]).encode()
                _expect(store.exchange("POST", f"/flows/{flow_id}/segments", content))
                lists.append(list(recorder.writes))
                position += size
            plan.write_bytes(pickle.dumps({"setup": recorder.setup, "lists": lists}))
        store.close()
    return floor


def _allocate(store: InProcess, flow_id: str, count: int) -> Iterable[str]:
    for first in range(0, count, MAX_ALLOCATED):
        body = json.dumps({"limit": min(MAX_ALLOCATED, count - first)}).encode()
        response = _expect(store.exchange("POST", f"/flows/{flow_id}/storage", body)).json()
        yield from (item["object_id"] for item in response["media_objects"])


def _expect(response: Response) -> Response:
    if response.status != 201:
        raise RuntimeError(f"the store answered {response.status} instead of 201: {response.body[:500]!r}")
    return response


def _replay(url: str, plan: dict[str, Any]) -> list[float]:
    connection: Any
    if url.startswith("sqlite"):
        connection, begin = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None), "BEGIN IMMEDIATE"
        for statement in plan["setup"]:
            connection.execute(statement)
    else:
        connection, begin = psycopg.connect(url, autocommit=True), "BEGIN"
    seconds = []
    for writes in plan["lists"]:
        start = time.perf_counter()
        connection.execute(begin)
        for statement, rows in writes:
            connection.cursor().executemany(statement, rows)
        connection.commit()
        seconds.append(time.perf_counter() - start)
    connection.close()
    return seconds


if __name__ == "__main__":
    print(json.dumps(_replay(sys.argv[1], pickle.loads(Path(sys.argv[2]).read_bytes()))))
