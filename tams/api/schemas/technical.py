"""The technical metadata of Flows and Profiles (`flow-technical.json` and the schema of each format).

Unknown properties are kept, except in `essence_parameters`, which the specification closes.
"""

from __future__ import annotations

from typing import Final

from marshmallow import INCLUDE, RAISE, Schema, fields, validate

from tams.api.schemas.fields import (
    Boolean,
    ContainerType,
    Format,
    Integer,
    NaturalNumber,
    PatternText,
    PositiveInteger,
    TechnicalType,
    Text,
    Uuid,
)
from tams.domain.flow_rules import AUDIO, DATA, IMAGE, VIDEO

_CHANNEL_RANGE = r"[0-9]+_[0-9]+"
_PACKAGE_UID = (
    r"urn:smpte:umid:[0-9a-fA-F]{8}(.[0-9a-fA-F]{8}){7}"
    r"|urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)


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
    container = ContainerType()
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


TECHNICAL_BY_FORMAT: Final[dict[str, Schema]] = {
    VIDEO: VideoTechnical(),
    AUDIO: AudioTechnical(),
    IMAGE: ImageTechnical(),
    DATA: DataTechnical(),
}
"""The schemas of a Profile's `flow_metadata`. A Profile has a single essence, so `multi` is not one of them."""
