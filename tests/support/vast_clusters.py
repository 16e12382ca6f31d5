"""Emulated clusters for tests, and their URLs, which can be passed to other processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from tams.repository.vast import Address, VastRepository, upgrade
from tools.vast_emulator.emulator import Emulator
from tools.vast_emulator.settings import Settings

SCHEMA = "tams"

CLUSTERS: dict[str, tuple[str, dict[str, object]]] = {
    "vast": ("claims", {}),
    # Another session cannot end a transaction, and conflicts on rows are reported at the commit.
    "vast_stripes": ("stripes", {"row_conflicts": "commit", "rollback": "ignored_elsewhere"}),
    # Here conflicts are reported at the statement. A transaction that cannot be ended holds its rows for some time.
    "vast_stripes_early": (
        "stripes",
        {"row_conflicts": "statement", "rollback": "refused_elsewhere", "idle_timeout": 2.0},
    ),
    # Neither conflicts nor a way to end a transaction.
    "vast_single": ("single", {"rollback": "ignored", "idle_timeout": 2.0}),
}
"""The clusters that the contract is tested on: the concurrency mode, and settings on top of the hostile ones."""
_ROOT = Path(__file__).parents[2]


def url_of(endpoint: str, concurrency: str = "claims") -> str:
    """Return `vast+http://access:secret@host:port/bucket#concurrency`, with the default credentials of the emulator."""
    return f"vast+{endpoint.replace('://', '://emulator:emulator-secret@')}/vastdb#{concurrency}"


def address_of(url: str, **waits: float) -> Address:
    """Return the address that opens the adapter."""
    parts = urlsplit(url.removeprefix("vast+"))
    endpoint = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    return Address(
        endpoint,
        parts.username or "",
        parts.password or "",
        parts.path.strip("/"),
        SCHEMA,
        concurrency=parts.fragment or "claims",
        **cast("dict[str, Any]", waits),
    )


@contextmanager
def emulator_process(*options: str, concurrency: str = "claims") -> Iterator[str]:
    """Run a cluster in a separate process; yield its URL."""
    command = [sys.executable, "-m", "tools.vast_emulator", "--port", "0", *options]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield url_of(process.stdout.readline().split()[-1], concurrency)
        process.terminate()


@contextmanager
def opened(
    settings: Settings | None = None, concurrency: str = "claims", **waits: float
) -> Iterator[tuple[Emulator, VastRepository]]:
    """Run a cluster in this process; yield it with a repository on it. The tables exist."""
    with Emulator(settings or Settings()) as emulator:
        address = address_of(url_of(emulator.endpoint, concurrency), **waits)
        upgrade(address)
        repository = VastRepository(address)
        yield emulator, repository
        repository.close()
