"""Flows and Sources as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tams.domain.timerange import TimeRange

Metadata = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flow:
    """A Flow. `metadata` is the document as the client may set it (`flow-put.json`, `id` and `source_id` included,
    a Profile's technical metadata already filled in); the rest is the store's.

    `flow_key` names this incarnation: Segments hang on it, so that a Flow made anew under the same id never meets the
    Segments of its predecessor. Times are microseconds. `extent` runs from the first Segment's start to the last one's
    end, None without Segments; `count` is the number of Segments.
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
        """When a change that is made now (microseconds) happens: later than all before, whatever the clocks say.

        So the times of a Flow's changes are also their order.
        """
        return max(now, self.metadata_updated + 1, (self.segments_updated or 0) + 1)


@dataclass(frozen=True, slots=True)
class Source:
    """A Source. `metadata` holds `id`, `format`, `label`, `description`, `tags`, `created_by`, `updated_by`.

    `implicit` Sources were brought into being by a Flow and go with their last one. `collection` (items of
    `collection-item.json`) and `collected_by` are derived from the Flows' collections. Times are microseconds.
    """

    id: str
    metadata: Metadata
    created: int
    updated: int
    implicit: bool
    collection: tuple[Metadata, ...] = ()
    collected_by: tuple[str, ...] = ()

    def next_change(self, now: int) -> int:
        """When a change that is made now (microseconds) happens: later than all before, whatever the clocks say."""
        return max(now, self.updated + 1)
