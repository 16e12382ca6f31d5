"""The extent of a run: the whole benchmark, or a quick check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """Rounds, duration and archive sizes. `seconds` is the approximate duration of a sample."""

    rounds: int
    seconds: float
    sizes: tuple[int, ...]  # Segments of each archive of `sizes`
    flows: int  # Flows of the archive of `flows`
    deleted: int  # Segments of the Flow of `deletion`


WHOLE = Extent(rounds=5, seconds=3.0, sizes=(10_000, 1_000_000, 10_000_000), flows=10_000, deleted=1_000_000)
QUICK = Extent(rounds=3, seconds=1.0, sizes=(10_000, 200_000), flows=2_000, deleted=100_000)
