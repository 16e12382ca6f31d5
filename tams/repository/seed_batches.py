"""How much of a seed is one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_FLOWS = 200
"""Flows in a transaction."""


def portions(flow_ids: Sequence[str], count: int, most: int) -> Iterator[list[tuple[str, int]]]:
    """`count` Segments for each Flow, `most` in a transaction: a part of a large Flow, or several small ones whole."""
    if count >= most:
        for flow_id in flow_ids:
            for done in range(0, count, most):
                yield [(flow_id, min(most, count - done))]
        return
    several = max(1, min(_FLOWS, most // count))
    for first in range(0, len(flow_ids), several):
        yield [(flow_id, count) for flow_id in flow_ids[first : first + several]]
