"""The rules for Flow metadata that the JSON schemas state in words."""

from __future__ import annotations

from typing import Any

import pytest

from tams.domain.flow_rules import (
    AUDIO,
    DATA,
    IMAGE,
    MULTI,
    VIDEO,
    check_init_use,
    check_profile_link,
    check_technical,
    filled_in,
    uses_init_segments,
)

_RATE = {"numerator": 25}


def _video(codec: str = "video/h264", **essence: Any) -> dict[str, Any]:
    size = {"frame_width": 1920, "frame_height": 1080}
    return {"format": VIDEO, "codec": codec, "essence_parameters": {**size, **essence}}


def _audio(codec: str, **essence: Any) -> dict[str, Any]:
    return {"format": AUDIO, "codec": codec, "essence_parameters": {"sample_rate": 48000, "channels": 2, **essence}}


_RAW = {"unc_parameters": {"unc_type": "interleaved"}}


@pytest.mark.parametrize(
    "document",
    [
        _video(frame_rate=_RATE),
        _video(frame_rate=_RATE, vfr=False),
        _video(vfr=True),
        _video("video/raw", frame_rate=_RATE, bit_depth=8, unc_parameters={"unc_type": "RGB"}),
        _video("video/raw", frame_rate=_RATE, bit_depth=8, unc_parameters={"unc_type": "planar"}),
        _audio("audio/aac"),
        _audio("audio/x-raw-int", bit_depth=24, **_RAW),
        _audio("audio/x-raw-float", bit_depth=32, **_RAW),
        _audio("audio/x-raw-float", bit_depth=64, **_RAW),
        {"format": IMAGE, "codec": "image/jpeg", "essence_parameters": {"frame_width": 1, "frame_height": 1}},
        {"format": DATA, "codec": "application/json", "essence_parameters": {}},
        {"format": MULTI},
    ],
)
def test_technical_metadata_that_keeps_the_rules(document: dict[str, Any]) -> None:
    assert check_technical(document) == {}


@pytest.mark.parametrize(
    ("document", "at_fault"),
    [
        (_video(), ["frame_rate"]),
        (_video(vfr=False), ["frame_rate"]),
        (_video(vfr=True, frame_rate=_RATE), ["frame_rate"]),
        (_video("video/raw", frame_rate=_RATE), ["bit_depth", "unc_parameters"]),
        (_video("VIDEO/RAW", vfr=True, bit_depth=8), ["unc_parameters"]),
        (_audio("audio/x-raw-int"), ["bit_depth", "unc_parameters"]),
        (_audio("audio/x-raw-float"), ["bit_depth", "unc_parameters"]),
        (_audio("audio/x-raw-float", bit_depth=24, **_RAW), ["bit_depth"]),
        *[
            (_video(vfr=True, unc_parameters={"unc_type": packing}), ["horiz_chroma_subs", "vert_chroma_subs"])
            for packing in ("YUYV", "UYVY", "AYUV", "v210", "v216")
        ],
        (_video(vfr=True, horiz_chroma_subs=2, unc_parameters={"unc_type": "v210"}), ["vert_chroma_subs"]),
    ],
)
def test_technical_metadata_that_breaks_a_rule(document: dict[str, Any], at_fault: list[str]) -> None:
    assert sorted(check_technical(document)) == [f"essence_parameters.{name}" for name in at_fault]


@pytest.mark.parametrize(
    ("document", "stored", "at_fault"),
    [
        ({"profile_id": "p"}, None, []),
        ({"profile_id": "p"}, {}, []),
        ({"profile_id": "p", "format": VIDEO, "codec": "video/h264"}, None, ["format", "codec"]),
        ({"profile_id": "p", "avg_bit_rate": 1}, {"profile_id": "p"}, ["avg_bit_rate"]),
        ({"profile_id": "p", "max_bit_rate": 1}, {"profile_id": "p"}, []),
        ({"profile_id": "q"}, {"profile_id": "p"}, ["profile_id"]),
        ({"format": VIDEO}, {"profile_id": "p"}, ["profile_id"]),
        ({"profile_id": "", "format": VIDEO}, {"profile_id": "p"}, []),
        ({"profile_id": "", "format": VIDEO}, None, []),
        ({"format": VIDEO}, {}, []),
    ],
)
def test_a_flow_keeps_its_profile_or_breaks_with_it(
    document: dict[str, Any], stored: dict[str, Any] | None, at_fault: list[str]
) -> None:
    assert list(check_profile_link(document, stored)) == at_fault


def test_a_profile_fills_in_technical_metadata_and_nothing_else() -> None:
    complete = filled_in({"id": "f", "label": "mine"}, {"format": VIDEO, "codec": "video/h264", "label": "theirs"})
    assert complete == {"id": "f", "label": "mine", "format": VIDEO, "codec": "video/h264"}


@pytest.mark.parametrize(
    ("init_segments", "used", "allowed"),
    [
        (True, (True, False), True),
        (True, (False, False), True),
        (True, (False, True), False),
        (False, (False, True), True),
        (False, (True, False), False),
        (None, (True, False), False),
        (None, (False, False), True),
    ],
)
def test_init_segments_has_to_fit_the_stored_segments(
    init_segments: bool | None, used: tuple[bool, bool], allowed: bool
) -> None:
    document = {"essence_parameters": {} if init_segments is None else {"init_segments": init_segments}}
    assert uses_init_segments(document) is bool(init_segments)
    assert list(check_init_use(document, used)) == ([] if allowed else ["essence_parameters.init_segments"])
