"""Real media: recordings in MPEG-TS, WAV and fragmented MP4, each cut into Segments, and a decoder for each.

Every picture and every PCM sample carries its own number, so that decoded media show which moment they are from.

A media timestamp is a number of ticks of its stream's time base, a rational of seconds. It becomes nanoseconds by
rounding that rational to the nearest integer (`nanoseconds`). The time bases here (1/90000, 1/48000, 1/12800) never
give a half, and rounding preserves the order, so neighbouring Segments share exact bounds.
"""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeVar

import av
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame

SECOND: Final = 1_000_000_000
WIDTH, HEIGHT = 640, 360
FRAME_RATE: Final = 25
GOP: Final = 50  # pictures: two seconds
SAMPLE_RATE: Final = 48_000
AAC_FRAME: Final = 1024  # samples

TS_CLOCK: Final = Fraction(1, 90_000)
TS_START: Final = 10
"""The recording's first picture has this media time, in seconds."""

_FIXED_GOP: Final = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=0"
_BITS: Final = 16
_RAMP: Final = bytes(range(256)) * 4
_WHITE: Final = b"\xeb" * (WIDTH // _BITS)
_BLACK: Final = b"\x10" * (WIDTH // _BITS)


def nanoseconds(seconds: Fraction | int) -> int:
    """Convert seconds to nanoseconds, rounded to the nearest."""
    return round(seconds * SECOND)


def sample_time(number: int) -> int:
    """Return the `nanoseconds` of `number` samples, computed in integers because there are millions of samples."""
    return (2 * number * SECOND + SAMPLE_RATE) // (2 * SAMPLE_RATE)


@dataclass(frozen=True)
class Span:
    """`[start, end)` in nanoseconds."""

    start: int
    end: int

    def shifted(self, offset: int) -> Span:
        return Span(self.start + offset, self.end + offset)

    def __contains__(self, at: int) -> bool:
        return self.start <= at < self.end

    def __str__(self) -> str:
        return f"[{timestamp(self.start)}_{timestamp(self.end)})"

    @classmethod
    def parse(cls, text: str) -> Span:
        """Parse a timerange with an inclusive start and an exclusive end."""
        assert text[0] == "["
        assert text[-1] == ")"
        start, _, end = text[1:-1].partition("_")
        return cls(parse_timestamp(start), parse_timestamp(end))


def timestamp(at: int) -> str:
    """Write nanoseconds as `seconds:nanoseconds`."""
    seconds, rest = divmod(abs(at), SECOND)
    return f"{'-' if at < 0 else ''}{seconds}:{rest}"


def parse_timestamp(text: str) -> int:
    """Parse `seconds:nanoseconds` into nanoseconds."""
    seconds, _, rest = text.removeprefix("-").partition(":")
    value = int(seconds) * SECOND + int(rest)
    return -value if text.startswith("-") else value


@dataclass(frozen=True)
class Cut:
    """One Object of a recording: its bytes, the span of each essence in it, and the `whole` of both (media time)."""

    content: bytes
    video: Span | None
    audio: Span | None

    @property
    def whole(self) -> Span:
        spans = [span for span in (self.video, self.audio) if span is not None]
        return Span(min(span.start for span in spans), max(span.end for span in spans))


def transport_stream(seconds: int) -> bytes:
    """Encode a transport stream of H.264 with B-frames and AAC, from the media time `TS_START` on."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
        video = container.add_stream("libx264", rate=FRAME_RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"preset": "ultrafast", "bf": "2", "x264-params": f"{_FIXED_GOP}:b-adapt=0"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for second in range(seconds):
            for number in range(second * FRAME_RATE, (second + 1) * FRAME_RATE):
                container.mux(video.encode(_at(picture(number), TS_START * FRAME_RATE + number, FRAME_RATE)))
            sound = _tone(SAMPLE_RATE)
            container.mux(audio.encode(_at(sound, (TS_START + second) * SAMPLE_RATE, SAMPLE_RATE)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return file.getvalue()


def cut_transport_stream(recording: bytes) -> list[Cut]:
    """Cut the recording at its key frames, every two seconds, without changing its timestamps.

    A cut has the AAC frames that begin before its last picture ends, so the essences end a little apart.
    """
    cuts: list[Cut] = []
    with av.open(io.BytesIO(recording), "r") as whole:
        streams = [whole.streams.video[0], whole.streams.audio[0]]
        packets = [packet for packet in whole.demux(streams) if packet.size]
        starts = [_ticks(packet)[0] for packet in packets if packet.stream is streams[0] and packet.is_keyframe]
        for start, end in zip(starts, [*starts[1:], sys.maxsize], strict=True):
            file = io.BytesIO()
            content = [packet for packet in packets if start <= _ticks(packet)[0] < end]
            with av.open(file, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
                targets = {stream.index: container.add_stream_from_template(stream) for stream in streams}
                pictures, sounds = ([_ticks(packet) for packet in content if packet.stream is s] for s in streams)
                for packet in content:
                    packet.stream = targets[packet.stream.index]
                    container.mux(packet)
            cuts.append(Cut(file.getvalue(), _span(pictures), _span(sounds)))
    return cuts


def _tone(samples: int) -> AudioFrame:
    """Return a sine of 480 Hz, whose period is 100 samples, so that frames follow each other without a click."""
    period = struct.pack("<100f", *(0.2 * math.sin(n * math.pi / 50) for n in range(100)))
    frame = AudioFrame(format="fltp", layout="stereo", samples=samples)
    for plane in frame.planes:
        plane.update(period * (samples // 100))
    frame.sample_rate = SAMPLE_RATE
    return frame


def _ticks(packet: Packet[Any]) -> tuple[int, int]:
    """Return the start and the end of a packet, in ticks."""
    assert packet.pts is not None
    assert packet.duration
    assert packet.time_base == TS_CLOCK
    return packet.pts, packet.pts + packet.duration


F = TypeVar("F", VideoFrame, AudioFrame)


def _at(frame: F, ticks: int, rate: int) -> F:
    frame.pts, frame.time_base = ticks, Fraction(1, rate)
    return frame


def _span(ticks: list[tuple[int, int]]) -> Span:
    return Span(
        nanoseconds(min(start for start, _ in ticks) * TS_CLOCK), nanoseconds(max(end for _, end in ticks) * TS_CLOCK)
    )


def wave_files(seconds: int, each: int) -> list[bytes]:
    """Encode PCM as WAV files of `each` seconds. A WAV file has no timestamps: its first sample is at 0."""
    return [_wave(first * SAMPLE_RATE, each * SAMPLE_RATE) for first in range(0, seconds, each)]


def _wave(first: int, count: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="stereo")
        frame = AudioFrame(format="s16", layout="stereo", samples=count)
        frame.planes[0].update(_numbered(first, count))
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(_at(frame, 0, SAMPLE_RATE)))
        container.mux(stream.encode(None))
    return file.getvalue()


def _numbered(first: int, count: int) -> bytes:
    """Return stereo samples of 16 bits: left is the low half of the sample's number, right the high half."""
    return struct.pack(f"<{count}I", *range(first, first + count))


def fragmented_mp4(seconds: int) -> tuple[bytes, list[Cut]]:
    """Encode H.264 in fragmented MP4 from the media time 0 on; return the init segment, and fragments of 2 s."""
    file = io.BytesIO()
    flags = "empty_moov+default_base_moof+frag_keyframe+negative_cts_offsets"
    with av.open(file, "w", format="mp4", options={"movflags": flags, "use_editlist": "0"}) as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "x264-params": f"{_FIXED_GOP}:bframes=0"}
        for number in range(seconds * FRAME_RATE):
            container.mux(stream.encode(_at(picture(number), number, FRAME_RATE)))
        container.mux(stream.encode(None))
    boxes = list(_boxes(file.getvalue()))
    init = b"".join(box for kind, box in boxes if kind in {b"ftyp", b"moov"})
    fragments: list[bytes] = []
    for kind, box in boxes:
        if kind == b"moof":
            fragments.append(box)
        elif kind == b"mdat":
            fragments[-1] += box
    length = GOP * SECOND // FRAME_RATE
    return init, [
        Cut(content, Span(index * length, (index + 1) * length), None) for index, content in enumerate(fragments)
    ]


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at : at + size]
        at += size


def picture(number: int) -> VideoFrame:
    """Draw a picture: its number as bars in the upper half, a moving pattern in the lower half."""
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    bars = b"".join(_WHITE if number >> bit & 1 else _BLACK for bit in range(_BITS))
    shift = number * 4 % 256
    luma, *chroma = frame.planes
    luma.update(_lines(bars, HEIGHT // 2, luma.line_size) + _lines(_RAMP[shift:][:WIDTH], HEIGHT // 2, luma.line_size))
    for plane in chroma:
        plane.update(b"\x80" * plane.buffer_size)
    return frame


def _lines(line: bytes, count: int, line_size: int) -> bytes:
    return line.ljust(line_size, b"\x80") * count


@dataclass(frozen=True)
class Picture:
    """A decoded picture: the number drawn in it, its media time, and whether it was coded as a B-frame."""

    number: int
    at: int
    bidirectional: bool


def decode_pictures(content: bytes) -> list[Picture]:
    """Decode all pictures, in the order of presentation."""
    with av.open(io.BytesIO(content), "r") as container:
        return [
            Picture(_number(frame), _time(frame), frame.pict_type == PictureType.B)
            for frame in container.decode(video=0)
        ]


def decode_audio_frames(content: bytes) -> list[Span]:
    """Return the span of each audio frame (media time)."""
    with av.open(io.BytesIO(content), "r") as container:
        return [
            Span(_time(frame), nanoseconds(_exactly(frame) + Fraction(frame.samples, frame.sample_rate)))
            for frame in container.decode(audio=0)
        ]


@dataclass(frozen=True)
class Samples:
    """A run of decoded PCM samples: the number of the first, their count, and how many precede them in the file."""

    first: int
    count: int
    before: int

    def time(self, number: int) -> int:
        """Return the media time of the sample with this number."""
        return sample_time(self.before + number - self.first)


def decode_samples(content: bytes) -> list[Samples]:
    """Decode all PCM samples into runs of consecutive numbers."""
    runs: list[Samples] = []
    with av.open(io.BytesIO(content), "r") as container:
        for frame in container.decode(audio=0):
            data = bytes(frame.planes[0])[: frame.samples * 4]
            (first,) = struct.unpack_from("<I", data)
            assert data == _numbered(first, frame.samples)
            before = _exactly(frame) * SAMPLE_RATE
            assert before.denominator == 1
            runs.append(Samples(first, frame.samples, int(before)))
    return runs


def _number(frame: VideoFrame) -> int:
    luma = frame.planes[0]
    line = bytes(luma)[luma.line_size * (HEIGHT // 4) :][:WIDTH]
    bar = WIDTH // _BITS
    return sum((line[bit * bar + bar // 2] > 128) << bit for bit in range(_BITS))


def _exactly(frame: VideoFrame | AudioFrame) -> Fraction:
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * frame.time_base


def _time(frame: VideoFrame | AudioFrame) -> int:
    return nanoseconds(_exactly(frame))
