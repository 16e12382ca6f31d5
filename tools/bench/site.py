"""Where the measurements of one engine take place: the store with an archive in it, and beside it the floors."""

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
from tools.bench.documents import MOST_ALLOCATED, flow, segments
from tools.bench.hotpaths import READ_PATHS
from tools.bench.http import Connection
from tools.bench.inprocess import InProcess
from tools.bench.load import Load
from tools.bench.servers import Server
from tools.bench.statements import recording

_SEGMENTS = 10_000


@dataclass
class Generator:
    """What the load generator itself has used so far."""

    requests: int = 0
    cpu: float = 0.0

    def note(self, load: Load) -> None:
        """Count one load."""
        self.requests += load.requests
        self.cpu += load.own_cpu

    @property
    def milliseconds(self) -> float | None:
        """CPU for each request; None where it is not known."""
        return 1000 * self.cpu / self.requests if self.requests else None


@dataclass(frozen=True)
class Site:
    """The running servers. `flow_id` is a Flow of ten thousand Segments in the store.

    What is entered into `stack` is left at the end of the run, before the databases are closed.
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
    """Start everything in an empty directory, and stop it at the end. The archives may outlive it."""
    data = directory / "data"
    kept = archives / engine
    with (
        databases.opened(engine, directory) as own,
        databases.opened(engine, kept) as lasting,
        servers.store(data, TAMS_DATABASE_URL=own.new("store")) as store,
    ):
        with Connection(store.port) as connection:
            flow_id = make_flow(connection)
            for first in range(0, _SEGMENTS, MOST_ALLOCATED):
                ids = allocate(connection, flow_id, MOST_ALLOCATED)
                connection.expect(201, "POST", f"/flows/{flow_id}/segments", segments(ids, first))
            shown = connection.expect(200, "GET", f"/flows/{flow_id}").body
        plan = directory / "floors.json"
        _write_plan(plan, data, own.url("store"), flow_id, shown)
        with servers.floors(plan) as floors:
            site = Site(directory, own, Archives(kept, lasting), store, floors, flow_id)
            with site.stack:
                yield site


def make_flow(connection: Connection) -> str:
    """A new Flow; its id."""
    flow_id = str(uuid4())
    connection.expect(201, "PUT", f"/flows/{flow_id}", flow(flow_id))
    return flow_id


def allocate(connection: Connection, flow_id: str, count: int) -> list[str]:
    """Storage for so many Objects; their ids."""
    ids: list[str] = []
    while len(ids) < count:
        asked = {"limit": min(MOST_ALLOCATED, count - len(ids))}
        answer = connection.expect(201, "POST", f"/flows/{flow_id}/storage", asked).json()
        ids += [item["object_id"] for item in answer["media_objects"]]
    return ids


def _write_plan(plan: Path, data: Path, url: str, flow_id: str, shown: bytes) -> None:
    """What the floors give: the bytes of the Flow, and the rows of the very statements that the store runs."""
    pages = {}
    with recording() as recorded:
        store = InProcess(data, url)
        for name, path in READ_PATHS.items():
            if name == "flow":
                continue
            recorded.clear()
            answer = store.exchange("GET", path(flow_id))
            if answer.status != 200:
                raise RuntimeError(f"GET {path(flow_id)} was answered with {answer.status}: {answer.body[:500]!r}")
            pages[name] = list(recorded.reads)
        store.close()
    content = {
        "database": url,
        "setup": recorded.setup,
        "bytes": {"flow": shown.decode()},
        "pages": pages,
    }
    plan.write_text(json.dumps(content))
