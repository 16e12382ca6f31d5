"""Limits of size and number, the same on every repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tams.domain.errors import Invalid

DOCUMENT_BYTES: Final = 64 * 1024
"""The largest document of a Flow, Source, Profile or Webhook, as JSON in UTF-8."""

MOST_TAGS: Final = 500
"""The largest number of tags of a document."""

MOST_TAG_VALUES: Final = 1000
"""The largest number of values of all tags of a document together: each is also stored in an index."""

MOST_MEMBERS: Final = 1000
"""The largest number of members of a `flow_collection`."""

MOST_SEGMENTS: Final = 10_000
"""The largest number of Segments in one registration."""

MOST_OBJECT_IDS: Final = 10_000
"""The largest number of Objects that one request for storage may name."""

MOST_URLS: Final = 100
"""The largest number of uncontrolled instances of an Object, sent with a Segment or added later."""


def check_document_size(document: Mapping[str, Any]) -> None:
    """Raise Invalid if the document has too many tags or members, or more than `DOCUMENT_BYTES` as compact JSON."""
    tags = document.get("tags") or {}
    check_count("tags", len(tags), MOST_TAGS)
    values = sum(len(value) if isinstance(value, list) else 1 for value in tags.values())
    if values > MOST_TAG_VALUES:
        raise Invalid.field("tags", f"expected at most {MOST_TAG_VALUES} values in all tags together")
    check_count("flow_collection", len(document.get("flow_collection") or ()), MOST_MEMBERS)
    size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    if size > DOCUMENT_BYTES:
        raise Invalid(f"the document has {size} bytes; at most {DOCUMENT_BYTES} are allowed")


def check_count(path: str, count: int, most: int) -> None:
    """Raise Invalid if the list or object at `path` has more than `most` items."""
    if count > most:
        raise Invalid.field(path, f"expected at most {most} items, not {count}")
