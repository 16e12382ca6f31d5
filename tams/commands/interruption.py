"""Letting SIGTERM interrupt a command as Ctrl-C does."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, so that a probe's schema is removed first.

    Also silences the SDK of VAST Database, which would log the refusals that a probe provokes on purpose.
    """
    for name in ("vastdb", "backoff"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
