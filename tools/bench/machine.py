"""A description of the machine that was measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("flask", "gunicorn", "sqlalchemy", "orjson", "marshmallow", "flask-smorest")


def describe() -> dict[str, str]:
    """Return the machine, the versions of packages, and the load average when the run started."""
    return {
        "CPU": f"{_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "versions": ", ".join([*(f"{name} {version(name)}" for name in _PACKAGES), f"SQLite {sqlite3.sqlite_version}"]),
        "load generator": "Python, one process",
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
