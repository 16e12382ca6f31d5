"""How large things may be, the same on every repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tams.domain.errors import Invalid

DOCUMENT_BYTES: Final = 64 * 1024
"""The largest document of a Flow, Source, Profile or Webhook, as JSON in UTF-8."""


def check_document_size(document: Mapping[str, Any]) -> None:
    """`Invalid` where the document, written as compact JSON, is larger than `DOCUMENT_BYTES`."""
    size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    if size > DOCUMENT_BYTES:
        raise Invalid(f"the document has {size} bytes; the largest allowed has {DOCUMENT_BYTES}")
