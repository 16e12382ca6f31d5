"""How much is measured: a whole run, or a quick one that shows whether it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """`seconds` is about how long a sample takes; the others are the sizes of archives."""

    rounds: int
    seconds: float
    sizes: tuple[int, ...]
    flows: int
    doomed: int


WHOLE = Extent(rounds=5, seconds=3.0, sizes=(10_000, 1_000_000, 10_000_000), flows=10_000, doomed=1_000_000)
QUICK = Extent(rounds=3, seconds=1.0, sizes=(10_000, 200_000), flows=2_000, doomed=100_000)
