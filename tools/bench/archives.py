"""Archives of millions of Segments, made once by `tams dev seed` and, where told so, kept for the next run."""

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
    """A database that was filled. `seconds` is how long that took."""

    url: str
    data: Path
    segments: int
    seconds: float


class Archives:
    """Archives of one engine in `folder`, where each has a note once it is whole."""

    def __init__(self, folder: Path, databases: Databases) -> None:
        self._folder = folder
        self._databases = databases

    def get(self, name: str, *, flows: int, segments: int) -> Archive:
        """The archive of so many Flows with so many Segments each: the kept one, or a new one."""
        note = self._folder / f"{name}.json"
        wanted = {"flows": flows, "segments": segments, "schema": REVISION}
        kept: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {}
        if {key: kept.get(key) for key in wanted} != wanted:
            note.unlink(missing_ok=True)
            kept = wanted | {"seconds": self._make(name, flows, segments)}
            note.write_text(json.dumps(kept))
        return Archive(self._databases.url(name), self._data(name), flows * segments, kept["seconds"])

    def _make(self, name: str, flows: int, segments: int) -> float:
        print(f"  filling {name} with {flows * segments:,} Segments …", file=sys.stderr, flush=True)
        url = self._databases.new(name)
        began = time.monotonic()
        seed(url, self._data(name), "--flows", str(flows), "--segments", str(segments))
        took = time.monotonic() - began
        self._databases.settle(name)
        print(f"  {name}: {flows * segments / took:,.0f} Segments/s", file=sys.stderr, flush=True)
        return took

    def _data(self, name: str) -> Path:
        return self._folder / f"{name}-data"


def seed(url: str, data: Path, *options: str) -> None:
    """Run `tams dev seed`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}
    environment = inherited | {"ENVIRONMENT": "development", "TAMS_DATABASE_URL": url, "TAMS_DATA_DIR": str(data)}
    command = [str(_TAMS), "dev", "seed", *options]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
