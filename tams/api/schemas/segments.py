"""Segments as clients send and receive them, and the query of their listing.

The schemas of bodies are for the API document only. `tams.domain.segment_requests` parses bodies, because marshmallow
is too slow for lists of a thousand Segments.
"""

from __future__ import annotations

from marshmallow import Schema, fields

from tams.api.schemas.fields import TIMESTAMP_PATTERN, Boolean, Text, Timerange
from tams.api.schemas.get_urls import UrlsQuery
from tams.api.schemas.objects import GetUrl
from tams.domain.get_urls import LABEL_BYTES
from tams.domain.segment_requests import OBJECT_ID_BYTES
from tams.domain.timerange import ETERNITY

_TIMESTAMP = {"pattern": f"^{TIMESTAMP_PATTERN}$"}
_OBJECT_ID = {"minLength": 1, "maxLength": OBJECT_ID_BYTES}
_COUNT = {"minimum": 0}


class UncontrolledUrl(Schema):
    """A URL outside the Storage Backends, with a label that the client chooses."""

    url = fields.String(required=True, metadata={"format": "uri"})
    label = fields.String(required=True, metadata={"minLength": 1, "maxLength": LABEL_BYTES})


class SegmentBody(Schema):
    """A Segment to register (`flow-segment-post.json`)."""

    object_id = fields.String(required=True, metadata=_OBJECT_ID)
    timerange = fields.String(required=True, metadata={"description": "On the Flow's timeline, such as `[0:0_10:0)`."})
    ts_offset = fields.String(metadata={**_TIMESTAMP, "description": "Flow time minus the Object's own time."})
    last_duration = fields.String(metadata=_TIMESTAMP)
    object_timerange = fields.String(
        metadata={"description": "The extent of the Object on its own timeline; `timerange - ts_offset` by default."}
    )
    sample_offset = fields.Integer(metadata=_COUNT)
    sample_count = fields.Integer(metadata=_COUNT)
    key_frame_count = fields.Integer(metadata=_COUNT)
    init_object_id = fields.String(metadata=_OBJECT_ID)
    get_urls = fields.List(
        fields.Nested(UncontrolledUrl),
        metadata={"description": "URLs of an Object whose bytes are outside this store."},
    )


class SegmentUpload(Schema):
    """A Segment together with its bytes. `segment_data` comes before `file`."""

    segment_data = fields.Nested(SegmentBody, required=True, metadata={"description": "`object_id` may be left out."})
    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


class InitObjectOfSegment(Schema):
    """The Object with the initialisation segment that a Segment needs."""

    object_id = fields.String(required=True)
    get_urls = fields.List(fields.Nested(GetUrl))


class SegmentDetails(Schema):
    """A Segment of `GET /flows/{flowId}/segments` (`flow-segment.json`)."""

    object_id = fields.String(required=True)
    timerange = fields.String(required=True)
    ts_offset = fields.String(metadata=_TIMESTAMP)
    last_duration = fields.String(metadata=_TIMESTAMP)
    object_timerange = fields.String()
    sample_offset = fields.Integer()
    sample_count = fields.Integer()
    key_frame_count = fields.Integer()
    get_urls = fields.List(fields.Nested(GetUrl))
    init_object = fields.Nested(InitObjectOfSegment)


class FailedSegmentError(Schema):
    """The reason why a Segment was refused (`error.json`)."""

    type = fields.String(required=True)
    summary = fields.String(required=True)
    time = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class FailedSegment(Schema):
    """A Segment that was refused."""

    object_id = fields.String(required=True)
    timerange = fields.String()
    error = fields.Nested(FailedSegmentError)


class FailedSegments(Schema):
    """The Segments of a list that were refused (`flow-segment-bulk-failure.json`)."""

    failed_segments = fields.List(fields.Nested(FailedSegment), required=True)


class SegmentsQuery(UrlsQuery):
    """Query of `GET /flows/{flowId}/segments`."""

    object_id = Text(load_default=None, metadata={"description": "Only Segments of this Object."})
    timerange = Timerange(
        load_default=ETERNITY, metadata={"description": "Only Segments that overlap it, wholly or partly."}
    )
    reverse_order = Boolean(load_default=False, metadata={"description": "Latest first."})
    include_object_timerange = Boolean(
        load_default=False, metadata={"description": "Include the timerange of each Segment's Object."}
    )
