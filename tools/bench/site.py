"""The servers for the measurements on one engine: the store with an archive, and the floors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tools.bench import databases, servers
from tools.bench.archives import Archives
from tools.bench.databases import Databases, Engine
from tools.bench.documents import MAX_ALLOCATED, flow, segments
from tools.bench.hotpaths import READ_PATHS
from tools.bench.http import Connection
from tools.bench.inprocess import InProcess
from tools.bench.load import Load
from tools.bench.servers import Server
from tools.bench.statements import recording

_SEGMENTS = 10_000


@dataclass
class Generator:
    """The requests and the CPU seconds of the load generator so far."""

    requests: int = 0
    cpu: float = 0.0

    def note(self, load: Load) -> None:
        """Add a load to the totals."""
        self.requests += load.requests
        self.cpu += load.own_cpu

    @property
    def milliseconds(self) -> float | None:
        """Return the CPU time per request in milliseconds; None before the first request."""
        return 1000 * self.cpu / self.requests if self.requests else None


@dataclass(frozen=True)
class Site:
    """The running servers. `flow_id` is a Flow with ten thousand Segments in the store.

    Contexts entered on `stack` end with the run, before the databases are closed.
    """

    directory: Path
    databases: Databases
    archives: Archives
    store: Server
    floors: Server
    flow_id: str
    generator: Generator = field(default_factory=Generator)
    stack: ExitStack = field(default_factory=ExitStack)


@contextmanager
def opened(engine: Engine, directory: Path, archives: Path) -> Iterator[Site]:
    """Start all servers in an empty directory and stop them at the end. `archives` may be kept beyond it."""
    data = directory / "data"
    archives_folder = archives / engine
    with (
        databases.opened(engine, directory) as run_databases,
        databases.opened(engine, archives_folder) as archive_databases,
        servers.store(data, TAMS_DATABASE_URL=run_databases.new("store")) as store,
    ):
        with Connection(store.port) as connection:
            flow_id = make_flow(connection)
            for first in range(0, _SEGMENTS, MAX_ALLOCATED):
                ids = allocate(connection, flow_id, MAX_ALLOCATED)
                connection.expect(201, "POST", f"/flows/{flow_id}/segments", segments(ids, first))
            flow_body = connection.expect(200, "GET", f"/flows/{flow_id}").body
        plan = directory / "floors.json"
        _write_plan(plan, data, run_databases.url("store"), flow_id, flow_body)
        with servers.floors(plan) as floors:
            site = Site(directory, run_databases, Archives(archives_folder, archive_databases), store, floors, flow_id)
            with site.stack:
                yield site


def make_flow(connection: Connection) -> str:
    """Create a Flow and return its id."""
    flow_id = str(uuid4())
    connection.expect(201, "PUT", f"/flows/{flow_id}", flow(flow_id))
    return flow_id


def allocate(connection: Connection, flow_id: str, count: int) -> list[str]:
    """Allocate storage for `count` Objects and return their ids."""
    ids: list[str] = []
    while len(ids) < count:
        body = {"limit": min(MAX_ALLOCATED, count - len(ids))}
        response = connection.expect(201, "POST", f"/flows/{flow_id}/storage", body).json()
        ids += [item["object_id"] for item in response["media_objects"]]
    return ids


def _write_plan(plan: Path, data: Path, url: str, flow_id: str, flow_body: bytes) -> None:
    """Write the responses of the floors: the bytes of the Flow, and the statements that the store runs for pages."""
    pages = {}
    with recording() as recorder:
        store = InProcess(data, url)
        for name, path in READ_PATHS.items():
            if name == "flow":
                continue
            recorder.clear()
            response = store.exchange("GET", path(flow_id))
            if response.status != 200:
                raise RuntimeError(f"GET {path(flow_id)} was answered with {response.status}: {response.body[:500]!r}")
            pages[name] = list(recorder.reads)
        store.close()
    content = {
        "database": url,
        "setup": recorder.setup,
        "bytes": {"flow": flow_body.decode()},
        "pages": pages,
    }
    plan.write_text(json.dumps(content))
