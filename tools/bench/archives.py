"""Archives of millions of Segments, created by `tams dev seed` and optionally kept for the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tams.repository.sql.tables import REVISION
from tools.bench.databases import Databases

_TAMS = Path(sys.executable).with_name("tams")


@dataclass(frozen=True, slots=True)
class Archive:
    """A database filled with Segments. `seconds` is how long filling it took."""

    url: str
    data: Path
    segments: int
    seconds: float


class Archives:
    """The archives of one engine in `folder`, where each complete archive has a JSON file of its properties."""

    def __init__(self, folder: Path, databases: Databases) -> None:
        self._folder = folder
        self._databases = databases

    def get(self, name: str, *, flows: int, segments: int) -> Archive:
        """Return the archive of this many Flows with this many Segments each; fill a new one if none is kept."""
        file = self._folder / f"{name}.json"
        properties = {"flows": flows, "segments": segments, "schema": REVISION}
        stored: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        if {field: stored.get(field) for field in properties} != properties:
            file.unlink(missing_ok=True)
            stored = properties | {"seconds": self._fill(name, flows, segments)}
            file.write_text(json.dumps(stored))
        return Archive(self._databases.url(name), self._data(name), flows * segments, stored["seconds"])

    def _fill(self, name: str, flows: int, segments: int) -> float:
        print(f"  filling {name} with {flows * segments:,} Segments …", file=sys.stderr, flush=True)
        url = self._databases.new(name)
        start = time.monotonic()
        seed(url, self._data(name), "--flows", str(flows), "--segments", str(segments))
        seconds = time.monotonic() - start
        self._databases.settle(name)
        print(f"  {name}: {flows * segments / seconds:,.0f} Segments/s", file=sys.stderr, flush=True)
        return seconds

    def _data(self, name: str) -> Path:
        return self._folder / f"{name}-data"


def seed(url: str, data: Path, *options: str) -> None:
    """Run `tams dev seed` with these options on a database."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    environment = inherited | {"ENVIRONMENT": "development", "TAMS_DATABASE_URL": url, "TAMS_DATA_DIR": str(data)}
    command = [str(_TAMS), "dev", "seed", *options]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
