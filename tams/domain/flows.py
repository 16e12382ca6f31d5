"""Flows and Sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tams.domain.timerange import TimeRange

Metadata = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """A Flow. `metadata` holds what the client may set (`flow-put.json`, `id` and `source_id` included, with the
    technical metadata of a Profile filled in); the store sets the rest.

    Segments belong to the `flow_key`, which is new for each Flow, so that a Flow created again under the same id never
    meets the Segments of its predecessor. Times are in microseconds. `extent` runs from the first Segment's start to
    the last one's end, and is None without Segments. `count` is the number of Segments.
    """

    id: str
    flow_key: int
    source_id: str
    metadata: Metadata
    created: int
    metadata_updated: int
    collected_by: tuple[str, ...] = ()
    segments_updated: int | None = None
    extent: TimeRange | None = None
    count: int = 0

    def next_change(self, now: int) -> int:
        """Return the time of a change that is made at `now`: later than all changes before, whatever the clocks say.

        So the times of a Flow's changes give their order. Times are in microseconds.
        """
        return max(now, self.metadata_updated + 1, (self.segments_updated or 0) + 1)


@dataclass(frozen=True, slots=True)
class Source:
    """A Source. `metadata` holds `id`, `format`, `label`, `description`, `tags`, `created_by`, `updated_by`.

    An `implicit` Source was created by a Flow, and is deleted with its last Flow. `collection` (items of
    `collection-item.json`) and `collected_by` are derived from the Flows' collections. Times are in microseconds.
    """

    id: str
    metadata: Metadata
    created: int
    updated: int
    implicit: bool
    collection: tuple[Metadata, ...] = ()
    collected_by: tuple[str, ...] = ()

    def next_change(self, now: int) -> int:
        """Return the time of a change that is made at `now`: later than all changes before, whatever the clocks say.

        Times are in microseconds.
        """
        return max(now, self.updated + 1)
