"""The media types that file names express, so that a web server gives a file its type.

Each type has an extension of its own. Types whose content a browser would run as a page are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXTENSIONS: Final[Mapping[str, str]] = {
    "application/json": "json",
    "application/mxf": "mxf",
    "application/octet-stream": "bin",
    "application/ttml+xml": "ttml",
    "application/x-subrip": "srt",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/iso.segment": "cmfa",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "oga",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "image/avif": "avif",
    "image/jp2": "jp2",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tif",
    "image/webp": "webp",
    "text/plain": "txt",
    "text/vtt": "vtt",
    "video/h264": "h264",
    "video/h265": "h265",
    "video/iso.segment": "m4s",
    "video/mp2t": "ts",
    "video/mp4": "mp4",
    "video/mpeg": "mpg",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
}
"""The extension of each media type. Entries may be added, but never changed: they are part of stored keys."""

TYPES: Final[Mapping[str, str]] = {extension: media_type for media_type, extension in EXTENSIONS.items()}
"""The media type of each extension."""
