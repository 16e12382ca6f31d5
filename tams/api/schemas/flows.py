"""Flows as clients send them (`flow-put.json`), one schema per format, and the queries of Flows.

Known properties are checked strictly. Unknown properties are kept, at the top and in sub-objects, except in
`essence_parameters`, which the specification closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, pre_load, validate

from tams.api.schemas.base import Query
from tams.api.schemas.fields import (
    LABEL_BYTES,
    Boolean,
    CommaSeparated,
    Format,
    Integer,
    MimeType,
    NaturalNumber,
    PatternText,
    PositiveInteger,
    Tags,
    TechnicalType,
    Text,
    Timerange,
    Uuid,
)
from tams.api.schemas.queries import TaggedListingQuery
from tams.domain.flow_rules import AUDIO, DATA, IMAGE, MULTI, VIDEO
from tams.domain.identifiers import is_uuid
from tams.domain.timerange import ETERNITY

SET_BY_THE_STORE: Final = frozenset({"created", "metadata_updated", "segments_updated", "timerange", "collected_by"})
"""Properties that are dropped before anything is checked, so that clients can PUT what they GET."""

STATUSES: Final = ("awaiting_content", "ingesting", "replication_in_progress", "closed_complete")
"""`flow-status.json`."""

_CHANNEL_RANGE = r"[0-9]+_[0-9]+"
_PACKAGE_UID = (
    r"urn:smpte:umid:[0-9a-fA-F]{8}(.[0-9a-fA-F]{8}){7}"
    r"|urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)


class ProfileLink(Text):
    """The id of a Profile, or the empty text, which removes the link to a Profile."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text and not is_uuid(text):
            raise ValidationError('expected a UUID in lower case, version 1 to 5, or ""')
        return text


class Open(Schema):
    """An object that keeps unknown properties."""

    class Meta:
        """Unknown properties are kept."""

        unknown = INCLUDE


class Closed(Schema):
    """An object without other properties than those of its schema."""

    class Meta:
        """Unknown properties are errors."""

        unknown = RAISE


def _choice(*values: str) -> Text:
    return Text(validate=validate.OneOf(values))


class Fraction(Open):
    """A rate or a duration. The default of the denominator is 1."""

    numerator = PositiveInteger(required=True)
    denominator = PositiveInteger()


class Ratio(Open):
    """An aspect ratio."""

    numerator = PositiveInteger(required=True)
    denominator = PositiveInteger(required=True)


class AudioTrack(Open):
    """The channels of a container's audio track that belong to the Flow."""

    channel_numbers = fields.List(NaturalNumber(), validate=validate.Length(min=1))
    channel_range = PatternText(_CHANNEL_RANGE, 'an inclusive range of channel numbers such as "0_1"')


class Mp2tsContainer(Open):
    """The location of a Flow in an MPEG-2 Transport Stream."""

    pid = Integer()


class MxfContainer(Open):
    """The location of a Flow in a Material Exchange Format container."""

    package_uid = PatternText(_PACKAGE_UID, "a SMPTE UMID URN or UUID URN")
    track_id = Integer()


class IsobmffContainer(Open):
    """The location of a Flow in an ISO Base Media File Format container."""

    track_id = Integer()


class ContainerMapping(Open):
    """The location of a Flow's essence in a container (`container-mapping.json`)."""

    track_index = NaturalNumber()
    format_track_index = NaturalNumber()
    audio_track = fields.Nested(AudioTrack)
    mp2ts_container = fields.Nested(Mp2tsContainer)
    mxf_container = fields.Nested(MxfContainer)
    isobmff_container = fields.Nested(IsobmffContainer)


class CollectionItem(Open):
    """A member of a Flow's collection (`flow-collection.json`)."""

    id = Uuid(required=True)
    role = Text()
    container_mapping = fields.Nested(ContainerMapping)


class AvcParameters(Open):
    """AVC codec parameters."""

    profile = Integer(required=True)
    level = Integer(required=True)
    flags = Integer(required=True)


class UncompressedVideo(Open):
    """The packing of uncompressed pictures."""

    unc_type = Text(
        required=True,
        validate=validate.OneOf(
            (
                *("planar", "YUYV", "UYVY", "AYUV", "v210", "v216", "RGB", "RGBx", "xRGB", "BGRx", "xBGR"),
                *("RGBA", "ARGB", "BGRA", "ABGR", "alpha"),
            )
        ),
    )


class UncompressedAudio(Open):
    """The layout of uncompressed audio channels."""

    unc_type = Text(required=True, validate=validate.OneOf(("interleaved", "planar", "pairs")))


class AudioCodec(Open):
    """Audio codec parameters."""

    coded_frame_size = Integer()
    mp4_oti = Integer()


class VideoEssence(Closed):
    """The essence of a video Flow."""

    frame_width = PositiveInteger(required=True)
    frame_height = PositiveInteger(required=True)
    bit_depth = PositiveInteger()
    interlace_mode = _choice("progressive", "interlaced_tff", "interlaced_bff", "interlaced_psf")
    colorspace = _choice("BT601", "BT709", "BT2020", "BT2100")
    transfer_characteristic = _choice("SDR", "HLG", "PQ")
    aspect_ratio = fields.Nested(Ratio)
    pixel_aspect_ratio = fields.Nested(Ratio)
    component_type = _choice("YCbCr", "RGB")
    horiz_chroma_subs = PositiveInteger()
    vert_chroma_subs = PositiveInteger()
    unc_parameters = fields.Nested(UncompressedVideo)
    avc_parameters = fields.Nested(AvcParameters)
    frame_rate = fields.Nested(Fraction)
    vfr = Boolean()
    init_segments = Boolean()


class AudioEssence(Closed):
    """The essence of an audio Flow."""

    sample_rate = PositiveInteger(required=True)
    channels = PositiveInteger(required=True)
    bit_depth = PositiveInteger()
    codec_parameters = fields.Nested(AudioCodec)
    unc_parameters = fields.Nested(UncompressedAudio)
    init_segments = Boolean()


class ImageEssence(Closed):
    """The essence of a still image Flow."""

    frame_width = PositiveInteger(required=True)
    frame_height = PositiveInteger(required=True)
    aspect_ratio = fields.Nested(Ratio)


class DataEssence(Closed):
    """The essence of a data Flow."""

    data_type = Text()
    init_segments = Boolean()


class MultiEssence(Closed):
    """The essence of a multi-essence Flow."""

    init_segments = Boolean()


class Technical(Open):
    """The technical metadata of every format (`flow-technical.json`)."""

    format = Format(required=True)
    codec = TechnicalType()
    container = TechnicalType()
    avg_bit_rate = NaturalNumber()
    segment_duration = fields.Nested(Fraction)
    container_mapping = fields.Nested(ContainerMapping)


class VideoTechnical(Technical):
    """The technical metadata of a video Flow (`flow-video.json`)."""

    codec = TechnicalType(required=True)
    essence_parameters = fields.Nested(VideoEssence, required=True)


class AudioTechnical(Technical):
    """The technical metadata of an audio Flow (`flow-audio.json`)."""

    codec = TechnicalType(required=True)
    essence_parameters = fields.Nested(AudioEssence, required=True)


class ImageTechnical(Technical):
    """The technical metadata of a still image Flow (`flow-image.json`)."""

    codec = TechnicalType(required=True)
    essence_parameters = fields.Nested(ImageEssence, required=True)


class DataTechnical(Technical):
    """The technical metadata of a data Flow (`flow-data.json`)."""

    codec = TechnicalType(required=True)
    essence_parameters = fields.Nested(DataEssence, required=True)


class MultiTechnical(Technical):
    """The technical metadata of a multi-essence Flow (`flow-multi.json`)."""

    essence_parameters = fields.Nested(MultiEssence)


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

TECHNICAL_BY_FORMAT: Final[dict[str, Schema]] = {
    VIDEO: VideoTechnical(),
    AUDIO: AudioTechnical(),
    IMAGE: ImageTechnical(),
    DATA: DataTechnical(),
}
"""The schemas of a Profile's `flow_metadata`. A Profile has a single essence, so `multi` is not one of them."""


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
