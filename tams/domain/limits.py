"""How large things may be, the same on every repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tams.domain.errors import Invalid

DOCUMENT_BYTES: Final = 64 * 1024
"""The largest document of a Flow, Source, Profile or Webhook, as JSON in UTF-8."""

MOST_TAGS: Final = 500
"""The tags of a document."""

MOST_TAG_VALUES: Final = 1000
"""The values of all tags of a document together: each of them is kept once more, to be found by."""

MOST_MEMBERS: Final = 1000
"""The members of a `flow_collection`."""

MOST_SEGMENTS: Final = 10_000
"""The Segments of one registration."""

MOST_OBJECT_IDS: Final = 10_000
"""The Objects that one request names to get storage for."""

MOST_URLS: Final = 100
"""The uncontrolled instances of an Object, given with a Segment or added later."""


def check_document_size(document: Mapping[str, Any]) -> None:
    """`Invalid` where the document has too many tags or members, or is, as compact JSON, above `DOCUMENT_BYTES`."""
    tags = document.get("tags") or {}
    check_count("tags", len(tags), MOST_TAGS)
    values = sum(len(value) if isinstance(value, list) else 1 for value in tags.values())
    if values > MOST_TAG_VALUES:
        raise Invalid.field("tags", f"expected at most {MOST_TAG_VALUES} values in all tags together")
    check_count("flow_collection", len(document.get("flow_collection") or ()), MOST_MEMBERS)
    size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    if size > DOCUMENT_BYTES:
        raise Invalid(f"the document has {size} bytes; the largest allowed has {DOCUMENT_BYTES}")


def check_count(path: str, count: int, most: int) -> None:
    """`Invalid` where the list or object at `path` has more than `most` items."""
    if count > most:
        raise Invalid.field(path, f"expected at most {most} items, not {count}")
