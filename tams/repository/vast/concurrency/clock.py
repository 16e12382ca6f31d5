"""The clock of deadlines and time-outs."""

from __future__ import annotations

import time


def boot_clock() -> float:
    """Return seconds since the machine started, including time asleep.

    Values are compared only with values of the same process: the protocols never compare the clocks of two machines.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
