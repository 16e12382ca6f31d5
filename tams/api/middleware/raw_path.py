"""Paths from the undecoded request target.

A WSGI server decodes the path before the application sees it, and after that `a%2Fb` cannot be told from `a/b`. Object
ids and tag names may hold any character, so the path is taken from the request line again: split on `/`, then decoded
segment by segment. In `PATH_INFO` the two characters that would be misread there, `%` and `/`, stay encoded; the
converters of `tams.api.converters` undo that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NOWHERE = "/%"
"""A path that no route can match: elsewhere a `%` is always followed by `25` or `2F`."""


def encode_segment(text: str) -> str:
    """Text as one segment of `PATH_INFO`."""
    return text.replace("%", "%25").replace("/", "%2F")


def decode_segment(segment: str) -> str:
    """The text of a segment of `PATH_INFO`."""
    return segment.replace("%2F", "/").replace("%25", "%") if "%" in segment else segment


class RequestTarget:
    """WSGI middleware that makes `PATH_INFO` from the raw target, where the server hands it on (`RAW_URI`)."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer by the wrapped application."""
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if target:
            path = _raw_path(target)
            # The plain case is left as the server decoded it.
            if "%" in path or path.startswith("//") or not path.isascii() or target[:1] != "/":
                environ["PATH_INFO"] = _path_info(path, environ.get("SCRIPT_NAME", ""))
        return self._app(environ, start_response)


def _raw_path(target: str) -> str:
    path = target.partition("?")[0].partition("#")[0]
    if path[:1] != "/" and "://" in path:
        # Absolute form (RFC 9112, section 3.2.2), as clients send it to proxies.
        path = urlsplit(path).path or "/"
    return path


def _path_info(path: str, mounted_at: str) -> str:
    """`PATH_INFO` (latin-1 of the UTF-8 bytes, as WSGI wants it) for a raw path."""
    if mounted_at and path.startswith(mounted_at):
        path = path[len(mounted_at) :]
    if path.startswith("//"):
        return NOWHERE
    segments = []
    for raw in path.split("/"):
        try:
            segments.append(encode_segment(unquote_to_bytes(raw.encode("latin-1")).decode()))
        except UnicodeDecodeError:
            return NOWHERE
    return "/".join(segments).encode().decode("latin-1")
