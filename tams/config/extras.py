"""Say how to add what the store needs for a database, and the base installation leaves out."""

from __future__ import annotations

import shlex
import sys


def installation(extra: str) -> str:
    """Return how to install an extra of the store into this environment, in a clone and with a wheel.

    pip gets a directory or a file, never the name alone: the store is on no public index.
    """
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    return f"run {pip} --editable '.[{extra}]' in the clone, or {pip} 'FILE.whl[{extra}]' with the wheel of the store"
