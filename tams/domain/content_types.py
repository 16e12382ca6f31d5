"""Content types that an HTTP header can carry."""

from __future__ import annotations

import re
from typing import Final

ANY_TYPE: Final = "application/octet-stream"
"""The type of bytes about which nothing else is known."""

LONGEST_CONTENT_TYPE: Final = 1024
"""The maximum length of a content type, in characters."""

_SENDABLE: Final = re.compile(r"[!-~][ -~]*", re.ASCII)


def sendable_type(content_type: str | None) -> str:
    """Return the content type, or `application/octet-stream` in place of one that no header can carry.

    Such a type has control characters, line breaks, or characters beyond ASCII, or is too long.
    """
    if content_type and len(content_type) <= LONGEST_CONTENT_TYPE and _SENDABLE.fullmatch(content_type):
        return content_type
    return ANY_TYPE
