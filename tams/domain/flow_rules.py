"""Rules for a Flow's metadata that its JSON schema does not hold or holds in words only.

Errors are told as JSON path -> messages. The shape of the document (types, required properties) is checked before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from tams.domain.flows import Metadata

VIDEO: Final = "urn:x-nmos:format:video"
IMAGE: Final = "urn:x-tam:format:image"
AUDIO: Final = "urn:x-nmos:format:audio"
DATA: Final = "urn:x-nmos:format:data"
MULTI: Final = "urn:x-nmos:format:multi"

TECHNICAL: Final = (
    "format",
    "codec",
    "container",
    "avg_bit_rate",
    "segment_duration",
    "container_mapping",
    "essence_parameters",
)
"""What a Profile holds and a Flow that is linked to one may not set itself (`flow-technical.json`)."""

YUV_PACKINGS: Final = frozenset({"YUYV", "UYVY", "AYUV", "v210", "v216"})
"""The values of video `unc_type` that are YUV by name; `planar` says nothing of the components."""

Errors = dict[str, list[str]]


def check_technical(document: Mapping[str, Any]) -> Errors:
    """What is wrong with technical metadata, a Flow's or a Profile's `flow_metadata`; paths are relative to it."""
    if document["format"] == VIDEO:
        return _check_video(document["codec"].lower(), document["essence_parameters"])
    if document["format"] == AUDIO:
        return _check_audio(document["codec"].lower(), document["essence_parameters"])
    return {}


def is_linked(document: Mapping[str, Any]) -> bool:
    """True where the Flow takes its technical metadata from a Profile."""
    return bool(document.get("profile_id"))


def uses_init_segments(document: Mapping[str, Any]) -> bool:
    """The Flow's `init_segments`, false where it is left out."""
    return document.get("essence_parameters", {}).get("init_segments", False) is True


def check_profile_link(document: Mapping[str, Any], stored: Mapping[str, Any] | None) -> Errors:
    """What is wrong with how `document` replaces `stored` with regard to Profiles (`PUT /flows/{flowId}`).

    A new Flow, and one without a Profile, is free to name one, without technical metadata. On a Flow that is linked to
    a Profile the same `profile_id` keeps the link and an empty one breaks it; there is no third way.
    """
    given = document.get("profile_id")
    if stored is not None and is_linked(stored) and given not in {"", stored["profile_id"]}:
        message = (
            f"this Flow is linked to the Profile {stored['profile_id']}: repeat its id to keep the link, "
            'or send "" and all technical metadata to break it'
        )
        return {"profile_id": [message]}
    if not given:
        return {}
    return {name: ["it comes from the Profile and cannot be set here"] for name in TECHNICAL if name in document}


def filled_in(document: Metadata, flow_metadata: Mapping[str, Any]) -> Metadata:
    """The Flow with the Profile's technical metadata."""
    return {**document, **{name: flow_metadata[name] for name in TECHNICAL if name in flow_metadata}}


def check_init_use(document: Mapping[str, Any], used: tuple[bool, bool]) -> Errors:
    """Whether `init_segments` fits the stored Segments; `used`: whether there are any (with, without) init Object."""
    with_init, without_init = used
    path = "essence_parameters.init_segments"
    if uses_init_segments(document):
        return {path: ["the Flow has Segments without an initialisation Object"]} if without_init else {}
    return {path: ["the Flow has Segments with an initialisation Object: it has to stay true"]} if with_init else {}


def _check_video(codec: str, essence: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    if essence.get("vfr", False):
        if "frame_rate" in essence:
            errors["frame_rate"] = ["it must not be set where vfr is true"]
    elif "frame_rate" not in essence:
        errors["frame_rate"] = ["it is required unless vfr is true"]
    if codec == "video/raw":
        errors |= _missing(essence, ("bit_depth", "unc_parameters"), "the codec is video/raw")
    unc_type = essence.get("unc_parameters", {}).get("unc_type")
    if unc_type in YUV_PACKINGS:
        errors |= _missing(essence, ("horiz_chroma_subs", "vert_chroma_subs"), f"unc_type is {unc_type}")
    return _of_essence(errors)


def _check_audio(codec: str, essence: Mapping[str, Any]) -> Errors:
    if codec not in {"audio/x-raw-int", "audio/x-raw-float"}:
        return {}
    errors = _missing(essence, ("bit_depth", "unc_parameters"), f"the codec is {codec}")
    if codec == "audio/x-raw-float" and essence.get("bit_depth", 32) not in {32, 64}:
        errors["bit_depth"] = ["it has to be 32 or 64 where the codec is audio/x-raw-float"]
    return _of_essence(errors)


def _missing(essence: Mapping[str, Any], names: Collection[str], reason: str) -> Errors:
    return {name: [f"it is required where {reason}"] for name in names if name not in essence}


def _of_essence(errors: Errors) -> Errors:
    return {f"essence_parameters.{name}": messages for name, messages in errors.items()}
