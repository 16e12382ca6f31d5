"""Render the media of `tams dev demo`: a minute of test picture and tone, as transport stream and fragmented MP4.

    python -m tools.render_demo

writes `tams/commands/demo_media`, which is part of the wheel. The picture shows colour bars, the time since the start
as minutes, seconds and pictures, and in its last lines the number of the picture in binary. The tone is higher in the
first tenth of each second. Each Object lasts four seconds: 100 pictures and 125 AAC frames, so both essences end at
once.
"""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame

DIRECTORY: Final = Path(__file__).parents[1] / "tams" / "commands" / "demo_media"

SECONDS: Final = 60
EACH: Final = 4
WIDTH, HEIGHT, FRAME_RATE = 320, 180, 25
SAMPLE_RATE, AAC_FRAME = 32_000, 1024
TS_START: Final = 10
"""The media time of the first picture in the transport stream, in seconds."""
BITS: Final = 16
CODE_LINES: Final = 12
"""The number of lines that show the number of the picture."""

_BARS: Final = (
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
)
_WHITE, _BLACK, _GREY = 235, 16, 128
_SCALE: Final = 5
_TOP: Final = 60
_GLYPHS: Final = {
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00010 00100 01000 11111",
    "3": "11111 00010 00100 00010 00001 10001 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    ":": "00000 00100 00100 00000 00100 00100 00000",
}
_X264: Final = {
    "preset": "veryslow",
    "crf": "30",
    "threads": "1",
    "x264-params": f"keyint={EACH * FRAME_RATE}:min-keyint={EACH * FRAME_RATE}:scenecut=0:open-gop=0:bframes=0",
}


def main() -> int:
    """Render all files; return the exit code."""
    DIRECTORY.mkdir(exist_ok=True)
    for old in DIRECTORY.iterdir():
        old.unlink()
    files: dict[str, bytes] = {}
    for number, content in enumerate(transport_stream_cuts()):
        files[f"{number:02}.ts"] = content
    for kind, fragments in (("video", video_fragments()), ("audio", audio_fragments())):
        files[f"{kind}-init.mp4"] = fragments[0]
        for number, content in enumerate(fragments[1:]):
            files[f"{kind}-{number:02}.mp4"] = content
    for name, content in files.items():
        (DIRECTORY / name).write_bytes(content)
    print(f"Wrote {len(files)} files, {sum(map(len, files.values()))} bytes, to {DIRECTORY}.")
    return 0


def transport_stream_cuts() -> Iterator[bytes]:
    """Yield transport streams of four seconds each, with continuous timestamps."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
        video, audio = _video_stream(container), _audio_stream(container)
        pictures = _packets(video, (_at(picture(n), TS_START * FRAME_RATE + n, FRAME_RATE) for n in _numbers()))
        sounds = _sounds(audio, TS_START)
        for packet in sorted([*pictures, *sounds], key=_start):
            container.mux(packet)
    with av.open(io.BytesIO(file.getvalue()), "r") as whole:
        streams = [whole.streams.video[0], whole.streams.audio[0]]
        packets = [packet for packet in whole.demux(streams) if packet.size]
        for start in range(TS_START, TS_START + SECONDS, EACH):
            cut = io.BytesIO()
            with av.open(cut, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
                targets = {stream.index: container.add_stream_from_template(stream) for stream in streams}
                for packet in packets:
                    if start <= _start(packet) < start + EACH:
                        packet.stream = targets[packet.stream.index]
                        container.mux(packet)
            yield cut.getvalue()


def video_fragments() -> list[bytes]:
    """Return the initialisation segment and the fragments of the picture."""
    file = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe", "use_editlist": "0"}
    with av.open(file, "w", format="mp4", options=options) as container:
        video = _video_stream(container)
        for packet in _packets(video, (_at(picture(n), n, FRAME_RATE) for n in _numbers())):
            container.mux(packet)
    return _fragments(file.getvalue())


def audio_fragments() -> list[bytes]:
    """Return the initialisation segment and the fragments of the tone."""
    file = io.BytesIO()
    options = {
        "movflags": "empty_moov+default_base_moof",
        "use_editlist": "0",
        "frag_duration": str(EACH * 1_000_000),
    }
    with av.open(file, "w", format="mp4", options=options) as container:
        audio = _audio_stream(container)
        for packet in _sounds(audio, 0):
            container.mux(packet)
    return _fragments(file.getvalue())


def picture(number: int) -> VideoFrame:
    """Draw the picture with this number."""
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    planes = []
    for index in range(3):
        width = WIDTH if index == 0 else WIDTH // 2
        bar = -(-width // len(_BARS))
        planes.append(b"".join(bytes([colours[index]]) * bar for colours in _BARS)[:width])
    luma = [bytearray(planes[0]) for _ in range(HEIGHT)]
    chroma = [[bytearray(plane) for _ in range(HEIGHT // 2)] for plane in planes[1:]]
    seconds = number // FRAME_RATE
    text = f"{seconds // 60:02}:{seconds % 60:02}:{number % FRAME_RATE:02}"
    advance = 6 * _SCALE
    left = (WIDTH - len(text) * advance) // 4 * 2
    _fill(luma, left - 10, _TOP - 10, len(text) * advance + 20, 7 * _SCALE + 20, _BLACK)
    for lines in chroma:
        _fill(lines, left // 2 - 5, _TOP // 2 - 5, len(text) * advance // 2 + 10, (7 * _SCALE + 20) // 2, _GREY)
    for position, character in enumerate(text):
        for row, bits in enumerate(_GLYPHS[character].split()):
            for column, bit in enumerate(bits):
                if bit == "1":
                    at = left + position * advance + column * _SCALE
                    _fill(luma, at, _TOP + row * _SCALE, _SCALE, _SCALE, _WHITE)
    for position in range(BITS):
        colour = _WHITE if number >> position & 1 else _BLACK
        _fill(luma, position * WIDTH // BITS, HEIGHT - CODE_LINES, WIDTH // BITS, CODE_LINES, colour)
    for lines in chroma:
        _fill(lines, 0, (HEIGHT - CODE_LINES) // 2, WIDTH // 2, CODE_LINES // 2, _GREY)
    for plane, lines in zip(frame.planes, [luma, *chroma], strict=True):
        plane.update(b"".join(bytes(line).ljust(plane.line_size, b"\x80") for line in lines))
    return frame


def _fill(lines: Sequence[bytearray], left: int, top: int, width: int, height: int, value: int) -> None:
    for line in lines[top : top + height]:
        line[left : left + width] = bytes([value]) * width


def _numbers() -> range:
    return range(SECONDS * FRAME_RATE)


def _video_stream(container: Any) -> Any:
    stream = container.add_stream("libx264", rate=FRAME_RATE)
    stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH, HEIGHT, "yuv420p", _X264
    return stream


def _audio_stream(container: Any) -> Any:
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
    stream.bit_rate = 32_000
    return stream


def _sounds(stream: Any, start: int) -> list[Packet[Any]]:
    """Return the AAC frames from the second `start` on, without the one that holds the delay of the encoder."""
    count = SECONDS * SAMPLE_RATE // AAC_FRAME
    frames = (_at(_tone(n * AAC_FRAME), start * SAMPLE_RATE + n * AAC_FRAME, SAMPLE_RATE) for n in range(count + 1))
    packets = [packet for packet in _packets(stream, frames) if start <= _start(packet) < start + SECONDS]
    if len(packets) != count:
        raise RuntimeError(f"the encoder gave {len(packets)} frames, not {count}")
    return packets


def _packets(stream: Any, frames: Iterator[Any]) -> list[Packet[Any]]:
    packets = [packet for frame in frames for packet in stream.encode(frame)]
    return packets + list(stream.encode(None))


def _tone(first: int) -> AudioFrame:
    frame = AudioFrame(format="fltp", layout="mono", samples=AAC_FRAME)
    samples = []
    for number in range(first, first + AAC_FRAME):
        high = number % SAMPLE_RATE < SAMPLE_RATE // 10
        frequency, level = (1000, 0.25) if high else (400, 0.08)
        samples.append(level * math.sin(2 * math.pi * frequency * number / SAMPLE_RATE))
    frame.planes[0].update(struct.pack(f"<{AAC_FRAME}f", *samples))
    frame.sample_rate = SAMPLE_RATE
    return frame


def _at(frame: Any, ticks: int, rate: int) -> Any:
    frame.pts, frame.time_base = ticks, Fraction(1, rate)
    return frame


def _start(packet: Packet[Any]) -> Fraction:
    if packet.pts is None or packet.time_base is None:
        raise RuntimeError("a packet has no time")
    return packet.pts * packet.time_base


def _fragments(content: bytes) -> list[bytes]:
    """Return the initialisation segment, and each fragment."""
    parts = [b""]
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        if kind == b"moof":
            parts.append(b"")
        if kind != b"mfra":
            parts[-1] += content[at : at + size]
        at += size
    return parts


if __name__ == "__main__":
    sys.exit(main())
