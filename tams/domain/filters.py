"""What listings can be asked for: values that every repository understands, and that can be tested in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tams.domain.flow_rules import VIDEO
from tams.domain.flows import Flow
from tams.domain.timerange import TimeRange

FlowOrder = Literal["created", "metadata_updated", "label"]
SourceOrder = Literal["created", "updated", "label"]


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Tags that have to be there. Every entry has to hold.

    `any_of`: (name, values): the tag holds at least one of the values, whole (a string tag, or a list that contains
    it). `exists`: (name, wanted).
    """

    any_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exists: tuple[tuple[str, bool], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.any_of or self.exists)

    def matches(self, tags: dict[str, str | list[str]]) -> bool:
        """True where `tags` meet every entry."""
        for name, values in self.any_of:
            held = tags.get(name)
            if held is None or not any(value in values for value in ([held] if isinstance(held, str) else held)):
                return False
        return all((name in tags) is wanted for name, wanted in self.exists)


NO_TAGS = TagFilter()


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Filters of `GET /sources`. `collected_by`: any of these Sources collects it; `()` is "collected by none"."""

    label: str | None = None
    format: str | None = None
    tags: TagFilter = NO_TAGS
    collected_by: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Filters of `GET /flows`, ANDed. `timerange`: a Segment overlaps it; the empty range: there is no Segment at all.

    `frame_width` and `frame_height` match video Flows only. `init_segments` false matches Flows where it is absent.
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


def filtered_properties(flow: Flow) -> dict[str, object]:
    """Those of the properties that `FlowFilter` compares for equality which the Flow has, by a short name."""
    document = flow.metadata
    essence = document.get("essence_parameters") or {}
    properties: dict[str, object] = {
        "source": flow.source_id,
        "label": document.get("label"),
        "profile": document.get("profile_id"),
        "codec": document.get("codec"),
        "status": document.get("status"),
        "format": document.get("format"),
        "init_segments": essence.get("init_segments") is True,
    }
    if document.get("format") == VIDEO:
        properties["frame_width"] = essence.get("frame_width")
        properties["frame_height"] = essence.get("frame_height")
    return {name: value for name, value in properties.items() if value is not None}
