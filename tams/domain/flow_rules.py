"""Rules for a Flow's metadata that its JSON schema does not state, or states in words only.

Checks return messages by JSON path. The shape of the metadata (types, required properties) has been checked before.
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
"""The technical metadata of a Profile, which a Flow with a Profile may not set itself (`flow-technical.json`)."""

YUV_PACKINGS: Final = frozenset({"YUYV", "UYVY", "AYUV", "v210", "v216"})
"""The values of video `unc_type` that imply YUV; `planar` does not say which components there are."""

Errors = dict[str, list[str]]


def check_technical(metadata: Mapping[str, Any]) -> Errors:
    """Return the faults in the technical metadata of a Flow or of a Profile's `flow_metadata`, by relative path."""
    if metadata["format"] == VIDEO:
        return _check_video(metadata["codec"].lower(), metadata["essence_parameters"])
    if metadata["format"] == AUDIO:
        return _check_audio(metadata["codec"].lower(), metadata["essence_parameters"])
    return {}


def is_linked(metadata: Mapping[str, Any]) -> bool:
    """Return True if the Flow takes its technical metadata from a Profile."""
    return bool(metadata.get("profile_id"))


def uses_init_segments(metadata: Mapping[str, Any]) -> bool:
    """Return the Flow's `init_segments`, which is false by default."""
    return metadata.get("essence_parameters", {}).get("init_segments", False) is True


def check_profile_link(metadata: Mapping[str, Any], stored: Mapping[str, Any] | None) -> Errors:
    """Return the faults in the Profile of metadata that replace the stored ones (`PUT /flows/{flowId}`).

    A new Flow, and one without a Profile, may name a Profile, and then no technical metadata. A Flow that is linked to
    a Profile has to repeat its `profile_id`, which keeps the link, or send an empty one, which breaks it.
    """
    profile_id = metadata.get("profile_id")
    if stored is not None and is_linked(stored) and profile_id not in {"", stored["profile_id"]}:
        message = (
            f"this Flow is linked to the Profile {stored['profile_id']}: repeat its id to keep the link, "
            'or send "" and all technical metadata to break it'
        )
        return {"profile_id": [message]}
    if not profile_id:
        return {}
    return {name: ["it comes from the Profile and cannot be set here"] for name in TECHNICAL if name in metadata}


def filled_in(metadata: Metadata, flow_metadata: Mapping[str, Any]) -> Metadata:
    """Return the Flow's metadata with the Profile's technical metadata filled in."""
    return {**metadata, **{name: flow_metadata[name] for name in TECHNICAL if name in flow_metadata}}


def check_init_use(metadata: Mapping[str, Any], used: tuple[bool, bool]) -> Errors:
    """Return the faults in `init_segments`; `used` says whether Segments (with, without) an init Object exist."""
    with_init, without_init = used
    path = "essence_parameters.init_segments"
    if uses_init_segments(metadata):
        return {path: ["the Flow has Segments without an initialisation Object"]} if without_init else {}
    return {path: ["the Flow has Segments with an initialisation Object: it has to stay true"]} if with_init else {}


def _check_video(codec: str, essence: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    if essence.get("vfr", False):
        if "frame_rate" in essence:
            errors["frame_rate"] = ["it must not be set if vfr is true"]
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
        errors["bit_depth"] = ["it has to be 32 or 64 if the codec is audio/x-raw-float"]
    return _of_essence(errors)


def _missing(essence: Mapping[str, Any], names: Collection[str], reason: str) -> Errors:
    return {name: [f"it is required if {reason}"] for name in names if name not in essence}


def _of_essence(errors: Errors) -> Errors:
    return {f"essence_parameters.{name}": messages for name, messages in errors.items()}
