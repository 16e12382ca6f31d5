"""Flows as clients send them (`flow-put.json`), one schema per format, and the queries of Flows.

Known properties are checked strictly. Unknown properties are kept, at the top and in sub-objects, except in
`essence_parameters`, which the specification closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, pre_load, validate
from typing_extensions import override

from tams.api.schemas.base import Query
from tams.api.schemas.fields import (
    LABEL_BYTES,
    Boolean,
    CommaSeparated,
    Format,
    Integer,
    MimeType,
    NaturalNumber,
    Tags,
    Text,
    Timerange,
    Uuid,
)
from tams.api.schemas.queries import TaggedListingQuery
from tams.api.schemas.technical import (
    AudioTechnical,
    CollectionItem,
    DataTechnical,
    ImageTechnical,
    MultiTechnical,
    Open,
    Technical,
    VideoTechnical,
)
from tams.domain.flow_rules import AUDIO, DATA, IMAGE, MULTI, VIDEO
from tams.domain.identifiers import is_uuid
from tams.domain.timerange import ETERNITY

SET_BY_THE_STORE: Final = frozenset({"created", "metadata_updated", "segments_updated", "timerange", "collected_by"})
"""Properties that are dropped before anything is checked, so that clients can PUT what they GET."""

STATUSES: Final = ("awaiting_content", "ingesting", "replication_in_progress", "closed_complete")
"""`flow-status.json`."""


class ProfileLink(Text):
    """The id of a Profile, or the empty text, which removes the link to a Profile."""

    @override
    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text and not is_uuid(text):
            raise ValidationError('expected a UUID in lower case, version 1 to 5, or ""')
        return text


class Common(Open):
    """The properties of every Flow, whatever its format (`flow-common.json`)."""

    id = Uuid(required=True)
    source_id = Uuid(required=True)
    label = Text(max_bytes=LABEL_BYTES)
    description = Text()
    created_by = Text()
    updated_by = Text()
    tags = Tags()
    metadata_version = Text()
    generation = NaturalNumber()
    status = Text(validate=validate.OneOf(STATUSES))
    read_only = Boolean()
    max_bit_rate = NaturalNumber()
    flow_collection = fields.List(fields.Nested(CollectionItem))
    profile_id = ProfileLink()

    @pre_load
    def drop_set_by_the_store(self, data: Any, **_: Any) -> Any:
        """Return the metadata without the properties that only the store sets, whatever they hold."""
        if not isinstance(data, Mapping) or SET_BY_THE_STORE.isdisjoint(data):
            return data
        return {name: value for name, value in data.items() if name not in SET_BY_THE_STORE}


class VideoFlow(VideoTechnical, Common):
    """A video Flow."""


class AudioFlow(AudioTechnical, Common):
    """An audio Flow."""


class ImageFlow(ImageTechnical, Common):
    """A still image Flow."""


class DataFlow(DataTechnical, Common):
    """A data Flow."""


class MultiFlow(MultiTechnical, Common):
    """A multi-essence Flow."""


class UnknownFlow(Technical, Common):
    """A Flow whose format is missing or unknown. It is refused, with every other error that it has."""


class FlowSchema(Technical, Common):
    """A Flow, with the technical metadata of its `format` or with the `profile_id` of a Profile that has them.

    Loads with the schema of the format. With a Profile, technical metadata are kept unchecked, and the service refuses
    them.
    """

    essence_parameters = fields.Dict(metadata={"description": "Properties that depend on `format`."})
    created = fields.DateTime(dump_only=True)
    metadata_updated = fields.DateTime(dump_only=True)
    segments_updated = fields.DateTime(dump_only=True)
    timerange = fields.String(dump_only=True)
    collected_by = fields.List(Uuid(), dump_only=True)

    @override
    def load(self, data: Any, **_: Any) -> dict[str, Any]:
        """Return the Flow's metadata. Raises `ValidationError` with all fields at fault."""
        loaded: dict[str, Any] = self.schema_of(data).load(data)
        return loaded

    def schema_of(self, data: Any) -> Schema:
        """Return the schema that applies to the metadata."""
        if not isinstance(data, Mapping):
            return _UNKNOWN
        if isinstance(data.get("profile_id"), str) and data["profile_id"]:
            return _PROFILED
        content_format = data.get("format")
        return _BY_FORMAT.get(content_format, _UNKNOWN) if isinstance(content_format, str) else _UNKNOWN


class NewFlowSchema(FlowSchema):
    """A Flow for `POST /flows`. The store makes its id if it has none."""

    id = Uuid()

    @override
    def load(self, data: Any, **_: Any) -> dict[str, Any]:
        """Return the Flow's metadata, with or without an id. Raises `ValidationError` with all fields at fault."""
        loaded: dict[str, Any] = self.schema_of(data).load(data, partial=("id",))
        return loaded


_PROFILED: Final = Common()
_UNKNOWN: Final = UnknownFlow()
_BY_FORMAT: Final[dict[str, Schema]] = {
    VIDEO: VideoFlow(),
    AUDIO: AudioFlow(),
    IMAGE: ImageFlow(),
    DATA: DataFlow(),
    MULTI: MultiFlow(),
}


class FlowsQuery(TaggedListingQuery):
    """Query of `GET /flows`."""

    source_id = Uuid(metadata={"description": "Filter on Source identifier."})
    timerange = Timerange(
        load_default=ETERNITY,
        metadata={
            "description": "Flows with a Segment that overlaps it; with an empty timerange, Flows without content."
        },
    )
    format = Format(metadata={"description": "Filter on Flow format."})
    codec = MimeType(metadata={"description": "Filter on Flow codec."})
    profile_id = Uuid(metadata={"description": "Filter on Profile identifier."})
    label = Text(metadata={"description": "Filter on Flows that have the given label."})
    sort_by = Text(
        load_default="created",
        validate=validate.OneOf(("created", "metadata_updated", "label")),
        metadata={
            "description": "Times: most recent first; labels: alphabetically. Flows without a value come last, by id."
        },
    )
    status = Text(validate=validate.OneOf(STATUSES))
    frame_width = Integer(metadata={"description": "Filter on video Flows."})
    frame_height = Integer(metadata={"description": "Filter on video Flows."})
    init_segments = Boolean(metadata={"description": "`false` selects Flows without the property, too."})
    collected_by_ids = CommaSeparated(
        Uuid(),
        metadata={"description": "Flows that one of these Flows collects; an empty list: Flows that none collects."},
    )


class FlowQuery(Query):
    """Query of `GET /flows/{flowId}`."""

    include_timerange = Boolean(load_default=False, metadata={"description": "Include `timerange`."})
    timerange = Timerange(
        load_default=ETERNITY, metadata={"description": "Limit `timerange` to the Segments that overlap this."}
    )
