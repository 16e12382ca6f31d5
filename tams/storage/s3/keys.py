"""The keys of objects in a bucket: never used twice, evenly distributed, and naming their Object.

    {prefix}{store id}/{3 random digits}/{29 random digits}.{kind}.{object}

Everything below `{prefix}{store id}/` belongs to this store alone. The 128 random bits are hexadecimal; because they
come first, load is spread from the first digit on. The rest says which Object the key was created for: `kind` is `id`
with the Object's id as it is, `b64` with the id in base64url without padding (a slash after every 200 characters,
because servers that keep keys in a file system accept no longer names), or `sha256` with a digest of the id, for ids
too long for a key of 1024 bytes. Keys consist of `A-Z a-z 0-9 - _ . /`, so that no server, URL or policy has to escape
one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from typing import Final

LONGEST_LEGIBLE: Final = 600
"""The maximum length of an Object's id that can be read from its keys, in bytes."""

_RANDOM_BYTES: Final = 16
_PART: Final = 200
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}", re.ASCII)
_NAME: Final = re.compile(r"[0-9a-f]{3}/[0-9a-f]{29}\.(?P<kind>id|b64|sha256)\.(?P<object>[A-Za-z0-9_./-]+)", re.ASCII)


class Keys:
    """The keys of one store in one bucket. `prefix` is empty or ends with a slash."""

    def __init__(self, prefix: str, store_id: str) -> None:
        self.store_id = store_id
        self.own = f"{prefix}{store_id}/"
        """The prefix of all keys of this store."""

    def new(self, object_id: str) -> str:
        """Return a key that was never used before, and never will be again."""
        random = secrets.token_hex(_RANDOM_BYTES)
        return f"{self.own}{random[:3]}/{random[3:]}.{_legible(object_id)}"

    def object_id(self, key: str) -> str | None:
        """Return the id of the key's Object; None if the key is not this store's, or contains only a digest."""
        match = _NAME.fullmatch(key.removeprefix(self.own)) if key.startswith(self.own) else None
        if match is None or match["kind"] == "sha256":
            return None
        text = match["object"]
        if match["kind"] == "id":
            return text
        text = text.replace("/", "")
        try:
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None


def _legible(object_id: str) -> str:
    if _PLAIN.fullmatch(object_id):
        return f"id.{object_id}"
    encoded = object_id.encode()
    if len(encoded) > LONGEST_LEGIBLE:
        return f"sha256.{hashlib.sha256(encoded).hexdigest()}"
    text = base64.urlsafe_b64encode(encoded).decode().rstrip("=")
    return "b64." + "/".join(text[start : start + _PART] for start in range(0, len(text), _PART))
