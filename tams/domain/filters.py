"""Filters of listings: values that every repository understands, and that can be tested in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tams.domain.timerange import TimeRange

FlowOrder = Literal["created", "metadata_updated", "label"]
SourceOrder = Literal["created", "updated", "label"]


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Conditions on tags, all of which have to hold.

    `any_of` holds pairs (name, values): the tag equals one of the values, or is a list that contains one. `exists`
    holds pairs (name, whether the tag has to exist).
    """

    any_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exists: tuple[tuple[str, bool], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.any_of or self.exists)

    def matches(self, tags: dict[str, str | list[str]]) -> bool:
        """Return True if the tags meet every condition."""
        for name, values in self.any_of:
            tag = tags.get(name)
            if tag is None or not any(value in values for value in ([tag] if isinstance(tag, str) else tag)):
                return False
        return all((name in tags) is required for name, required in self.exists)


NO_TAGS = TagFilter()


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Filters of `GET /sources`. `collected_by`: one of these Sources collects it; `()`: no Source does."""

    label: str | None = None
    format: str | None = None
    tags: TagFilter = NO_TAGS
    collected_by: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Filters of `GET /flows`, all of which have to hold.

    `timerange`: a Segment overlaps it; the empty range selects Flows without Segments. `frame_width` and `frame_height`
    match video Flows only. `init_segments` false also matches Flows without the property.
    """

    source_id: str | None = None
    timerange: TimeRange | None = None
    format: str | None = None
    codec: str | None = None
    profile_id: str | None = None
    label: str | None = None
    status: str | None = None
    tags: TagFilter = NO_TAGS
    frame_width: int | None = None
    frame_height: int | None = None
    init_segments: bool | None = None
    collected_by: tuple[str, ...] | None = None
