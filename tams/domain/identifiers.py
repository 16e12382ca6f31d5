"""Ids: the UUIDs of `uuid.json`, and internal keys."""

from __future__ import annotations

import re
import secrets
import time
import uuid

UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_UUID = re.compile(UUID_PATTERN, re.ASCII)


def is_uuid(text: str) -> bool:
    """Return True if `text` matches `uuid.json` exactly: lower case, versions 1 to 5."""
    return _UUID.fullmatch(text) is not None


def new_id() -> str:
    """Return a new UUID of version 4."""
    return str(uuid.uuid4())


def new_object_id() -> str:
    """Return a new UUID in the form of version 4 whose first 48 bits are the time in milliseconds; 74 bits are random.

    So Objects that are allocated together lie together in every index over Objects. Registering a recording then
    touches the index pages of its own time, not one page of the whole archive per Object. `uuid.json` excludes version
    7, which is made for this.
    """
    return str(uuid.UUID(int=time.time_ns() // 1_000_000 << 80 | secrets.randbits(80), version=4))


def new_key() -> int:
    """Return a random internal key of 63 bits: unique without a sequence, so that any repository can store it."""
    return secrets.randbits(63)
