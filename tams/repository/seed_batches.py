"""Segments that no request registered, by the million, for tests of size: their batches and their form.

Each Segment is a second long and has 25 samples. Its Object has one instance in a Storage Backend, whose bytes were
never stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tams.domain.errors import NotFound
from tams.domain.flows import Flow
from tams.domain.timerange import NANOSECONDS

SAMPLES_PER_SEGMENT: Final = 25

_FLOWS_PER_TRANSACTION = 200


class SeedBatch(NamedTuple):
    """Segments to be added to one Flow: those of the seconds from `first` to before `end`.

    `moment` is the time of registration in microseconds. The ids of the Objects are `prefix`, a hyphen, and the
    second as 16 hexadecimal digits.
    """

    flow: Flow
    first: int
    end: int
    moment: int

    @property
    def prefix(self) -> str:
        """Return what the ids of the Objects start with; only seeds of this Flow make such ids."""
        return f"{self.flow.flow_key:016x}"

    @property
    def storage_key_prefix(self) -> str:
        """Return what storage keys start with, before the second: they have the form of those of `LocalStorage`."""
        return f"5ee/00000{self.prefix}"


def seed_batches(flow_ids: Sequence[str], count: int, batch_size: int) -> Iterator[list[tuple[str, int]]]:
    """Yield for each transaction the Flows, and how many Segments each gets, until each has got `count`.

    A transaction adds up to `batch_size` Segments: part of what one Flow gets, or all that up to 200 Flows get.
    """
    if count >= batch_size:
        for flow_id in flow_ids:
            for done in range(0, count, batch_size):
                yield [(flow_id, min(batch_size, count - done))]
        return
    flows = max(1, min(_FLOWS_PER_TRANSACTION, batch_size // count))
    for first in range(0, len(flow_ids), flows):
        yield [(flow_id, count) for flow_id in flow_ids[first : first + flows]]


def seed_batch(flow: Flow | None, count: int, now: int) -> SeedBatch:
    """Return `count` Segments that follow the last one of the Flow; `now` in microseconds.

    Raises:
        NotFound: `flow` is None, because it was deleted.
    """
    if flow is None:
        raise NotFound("The Flow does not exist any more.")
    last = None if flow.extent is None else flow.extent.end
    first = 0 if last is None else -(-last // NANOSECONDS)
    return SeedBatch(flow, first, first + count, flow.next_change(now))
