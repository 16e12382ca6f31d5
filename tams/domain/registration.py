"""Rules of registration that need the stored Objects and the Flow, among them that Segments do not overlap.

A list is checked in its order, and Segments accepted earlier in it count for later ones: for an overlap within the
list, or for an Object that one Segment registers and a later one uses again. A refused Segment changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tams.domain.errors import Invalid
from tams.domain.flow_rules import uses_init_segments
from tams.domain.flows import Flow
from tams.domain.get_urls import LABEL_TAKEN
from tams.domain.objects import Instance, Object
from tams.domain.segment_requests import SegmentRequest, bounds
from tams.domain.segments import Segment
from tams.domain.timerange import TimeRange


class FailedSegment(NamedTuple):
    """A refused Segment, and the reason."""

    request: SegmentRequest
    error: Invalid


@dataclass(frozen=True, slots=True)
class Registered:
    """The result of a request, in its order.

    It holds the Segments to store, the new or changed Objects to store before them, and the refused Segments.
    """

    segments: list[Segment]
    objects: list[Object]
    failed: list[FailedSegment]


class Registration:
    """The check of one request against the state of one transaction.

    `objects` are the stored Objects that the request names. `backend_labels` are the labels of the Storage Backends,
    which no client may use. `missing` holds the ids of Objects whose bytes were not found. `hidden` holds the ids of
    stored Objects that are treated as if they did not exist. `at` (microseconds) becomes the time of registration.
    """

    def __init__(
        self,
        flow: Flow,
        objects: Mapping[str, Object],
        *,
        backend_labels: Collection[str],
        missing: Collection[str],
        hidden: Collection[str] = (),
        at: int,
    ) -> None:
        self._flow = flow
        self._container = str(flow.metadata["container"]).lower()
        self._with_init = uses_init_segments(flow.metadata)
        self._objects = dict(objects)
        self._backend_labels = backend_labels
        self._missing = missing
        self._hidden = hidden
        self._at = at
        self._starts: list[int] = []
        self._ends: list[int] = []

    def judge(self, requests: Sequence[SegmentRequest], overlapping: Sequence[bool]) -> Registered:
        """Check the requests in order; `overlapping` says for each whether a stored Segment overlaps it."""
        segments: list[Segment] = []
        changed: dict[str, Object] = {}
        failed: list[FailedSegment] = []
        for request, occupied in zip(requests, overlapping, strict=True):
            try:
                segments.append(self._accept(request, occupied, changed))
            except Invalid as error:
                failed.append(FailedSegment(request, error))
        return Registered(segments, list(changed.values()), failed)

    def _accept(self, request: SegmentRequest, occupied: bool, changed: dict[str, Object]) -> Segment:
        start, end = bounds(request.timerange)
        position = bisect_right(self._starts, start)
        if (
            occupied
            or (position and self._ends[position - 1] > start)
            or (position < len(self._starts) and self._starts[position] < end)
        ):
            raise Invalid.field("timerange", f"{request.timerange} overlaps a Segment of this Flow")
        used = request.object_range
        stored = self._stored(request.object_id)
        if stored is not None and stored.kind is not None:
            item = self._used_again(request, stored)
            self._check_init_rule(item.init_object_id)
            init = None
        else:
            item = self._first_use(request, stored, used)
            self._check_init_rule(request.init_object_id)
            init = self._init_object(request.init_object_id)
        object_start, object_end, object_closed = self._check_object_range(item, used)

        # The Segment is accepted: no check follows.
        for changed_object in (init, item if item is not stored else None):
            if changed_object is not None:
                self._objects[changed_object.id] = changed[changed_object.id] = changed_object
        self._starts.insert(position, start)
        self._ends.insert(position, end)
        return Segment(
            start,
            end,
            request.timerange.closed,
            item.id,
            request.ts_offset,
            request.last_duration,
            request.sample_offset,
            request.sample_count,
            object_start,
            object_end,
            object_closed,
            item.key_frame_count,
            item.init_object_id,
            self._at,
        )

    def _stored(self, object_id: str) -> Object | None:
        return None if object_id in self._hidden else self._objects.get(object_id)

    def _used_again(self, request: SegmentRequest, stored: Object) -> Object:
        """Return an Object that is registered already, whose properties may not change."""
        if stored.kind == "init":
            raise Invalid.field("object_id", "this Object is an initialisation segment, which holds no media")
        if request.object_timerange is not None and request.object_timerange != stored.timerange:
            raise Invalid.field("object_timerange", f"the Object is registered with {stored.timerange}")
        if request.key_frame_count is not None and request.key_frame_count != stored.key_frame_count:
            raise Invalid.field("key_frame_count", f"the Object is registered with {_printed(stored.key_frame_count)}")
        if request.init_object_id is not None and request.init_object_id != stored.init_object_id:
            raise Invalid.field("init_object_id", f"the Object is registered with {_printed(stored.init_object_id)}")
        _check_stored_urls(request, stored)
        return stored

    def _first_use(self, request: SegmentRequest, allocated: Object | None, used: TimeRange) -> Object:
        """Return the Object as its first registration makes it."""
        if allocated is None:
            if not request.get_urls:
                raise Invalid.field(
                    "object_id",
                    "there is no such Object: have storage allocated for it, or give get_urls if it lies elsewhere",
                )
            for index, (_, label) in enumerate(request.get_urls):
                if label in self._backend_labels:
                    raise Invalid.field(f"get_urls[{index}].label", LABEL_TAKEN)
            if request.object_id in self._hidden:
                raise Invalid.field("object_id", "this id is not available: choose another one")
            instances = tuple(Instance(url=url, label=label) for url, label in request.get_urls)
            created = self._at
            content_type = None
        else:
            if allocated.allocated_to != self._flow.flow_key:
                raise Invalid.field(
                    "object_id", "its storage was allocated to another Flow, in which it has to be registered first"
                )
            if allocated.content_type is not None and allocated.content_type.lower() != self._container:
                raise Invalid.field(
                    "object_id",
                    f"its storage was allocated for {allocated.content_type}, and the Flow's container is "
                    f"{self._container}",
                )
            if allocated.id in self._missing:
                raise Invalid.field("object_id", "its bytes were never uploaded")
            _check_stored_urls(request, allocated)
            instances, created, content_type = allocated.instances, allocated.created, allocated.content_type
        return Object(
            request.object_id,
            created,
            instances,
            None,
            content_type,
            "media",
            self._at,
            request.object_timerange or used,
            request.key_frame_count,
            request.init_object_id,
            self._flow.id,
        )

    def _check_init_rule(self, init_object_id: str | None) -> None:
        """Require an initialisation Object if, and only if, the Flow's `essence_parameters.init_segments` is true."""
        if self._with_init and init_object_id is None:
            raise Invalid.field("init_object_id", "required: the Flow's init_segments is true")
        if not self._with_init and init_object_id is not None:
            raise Invalid.field("init_object_id", "the Flow's init_segments is not true")

    def _init_object(self, object_id: str | None) -> Object | None:
        """Return the initialisation Object as its first use makes it, or None if there is none or nothing changes."""
        if object_id is None:
            return None
        stored = self._stored(object_id)
        if stored is None:
            raise Invalid.field("init_object_id", "there is no such Object: have storage allocated for it")
        if stored.kind == "media":
            raise Invalid.field("init_object_id", "this Object holds media, and cannot be an initialisation segment")
        if stored.kind == "init":
            return None
        if object_id in self._missing:
            raise Invalid.field("init_object_id", "its bytes were never uploaded")
        return Object(
            stored.id,
            stored.created,
            stored.instances,
            None,
            stored.content_type,
            "init",
            self._at,
            first_flow_id=self._flow.id,
        )

    def _check_object_range(self, item: Object, used: TimeRange) -> tuple[int, int, bool]:
        """Return the Object's range after checking that it contains `used`, the Segment's shifted by `-ts_offset`."""
        covered = item.timerange or used
        # Most Segments are the first ones of their Object, and use all of it.
        if covered is not used and not covered.contains(used):
            raise Invalid.field(
                "timerange",
                f"shifted by -ts_offset it is {used}, which is not inside the Object's timerange {covered}",
            )
        return *bounds(covered), covered.closed


def _check_stored_urls(request: SegmentRequest, stored: Object) -> None:
    """Refuse new URLs of a known Object: they are added at `/objects/{objectId}/instances`."""
    if request.get_urls:
        known = {(instance.url, instance.label) for instance in stored.instances if not instance.controlled}
        for index, entry in enumerate(request.get_urls):
            if entry not in known:
                raise Invalid.field(
                    f"get_urls[{index}]", "it is new: add instances of a known Object at /objects/{objectId}/instances"
                )


def _printed(value: object) -> str:
    return "none" if value is None else f"{value}"
