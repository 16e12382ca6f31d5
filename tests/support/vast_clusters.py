"""Where a test's cluster is, as a URL that processes of their own can be given, and clusters to test with."""

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
    # No transaction is ended by another session, and conflicts on rows show at the commit.
    "vast_stripes": ("stripes", {"row_conflicts": "commit", "rollback": "ignored_elsewhere"}),
    # The same, and they show at the statement; what nobody can end holds its rows for some time.
    "vast_stripes_early": (
        "stripes",
        {"row_conflicts": "statement", "rollback": "refused_elsewhere", "idle_timeout": 2.0},
    ),
    # Neither conflicts nor a way to end transactions.
    "vast_single": ("single", {"rollback": "ignored", "idle_timeout": 2.0}),
}
"""What the contract is tested on: how changes are kept apart, and how the cluster is besides being hostile."""
_ROOT = Path(__file__).parents[2]


def url_of(endpoint: str, concurrency: str = "claims") -> str:
    """`vast+http://access:secret@host:port/bucket#concurrency`, with what the emulator takes if not told otherwise."""
    return f"vast+{endpoint.replace('://', '://emulator:emulator-secret@')}/vastdb#{concurrency}"


def address_of(url: str, **waits: float) -> Address:
    """What the adapter is opened with."""
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
    """A cluster in a process of its own; its URL."""
    command = [sys.executable, "-m", "tools.vast_emulator", "--port", "0", *options]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield url_of(process.stdout.readline().split()[-1], concurrency)
        process.terminate()


@contextmanager
def opened(
    settings: Settings | None = None, concurrency: str = "claims", **waits: float
) -> Iterator[tuple[Emulator, VastRepository]]:
    """A cluster in this process, and a repository on it whose tables are known already."""
    with Emulator(settings or Settings()) as emulator:
        address = address_of(url_of(emulator.endpoint, concurrency), **waits)
        upgrade(address)
        repository = VastRepository(address)
        yield emulator, repository
        repository.close()
