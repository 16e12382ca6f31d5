"""The path of the raw request line.

A WSGI server decodes the path before the application reads it, and then `a%2Fb` looks like `a/b`. Object ids and tag
names may hold any character, so the path is taken from the request line again: split at `/`, then decoded segment by
segment. In `PATH_INFO` two characters stay encoded, because they would be misread there: `%` and `/`. The converters of
`tams.api.converters` decode them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NOWHERE = "/%"
"""A path that no route matches: in any other `PATH_INFO`, `%` is followed by `25` or `2F`."""


def encode_segment(text: str) -> str:
    """Return a text as one segment of `PATH_INFO`."""
    return text.replace("%", "%25").replace("/", "%2F")


def decode_segment(segment: str) -> str:
    """Return the text of one segment of `PATH_INFO`."""
    return segment.replace("%2F", "/").replace("%25", "%") if "%" in segment else segment


class RawPath:
    """WSGI middleware that sets `PATH_INFO` from the raw request target, if the server provides it (`RAW_URI`).

    Speed-critical: a path without anything to decode keeps the `PATH_INFO` of the server. tests/api/test_paths.py
    compares it with the result of `path_info`.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Set `PATH_INFO`, and `HTTP_HOST` of an absolute target; then call the wrapped application."""
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if target:
            path = raw_path(target)
            if "%" in path or "//" in path or not path.isascii() or target[:1] != "/":
                environ["PATH_INFO"] = path_info(path, environ.get("SCRIPT_NAME", ""))
                if target[:1] != "/" and "://" in target:
                    # The host of an absolute target replaces the header (RFC 9112, section 3.2.2).
                    environ["HTTP_HOST"] = urlsplit(target).netloc
        return self._app(environ, start_response)


def raw_path(target: str) -> str:
    """Return the undecoded path of a request target."""
    path = target.partition("?")[0].partition("#")[0]
    if path[:1] != "/" and "://" in path:
        # Absolute form (RFC 9112, section 3.2.2), as clients send it to proxies.
        path = urlsplit(path).path or "/"
    return path


def path_info(path: str, mounted_at: str) -> str:
    """Return the `PATH_INFO` of a raw path: its UTF-8 bytes as latin-1, as WSGI requires."""
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
