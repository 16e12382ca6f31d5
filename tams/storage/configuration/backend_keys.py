"""The keys of a `[[backend]]` table in the backends file, with what each accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from tams.config.parsers import (
    parse_base_url,
    parse_bucket,
    parse_endpoint,
    parse_label,
    parse_prefix,
    parse_uuid,
    require_tags,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a `[[backend]]` table.

    `expects` completes the sentence "write …"; `example` is a value that is accepted. `parse` raises ValueError for a
    value that is not.
    """

    expects: str
    example: str
    parse: Callable[[Any], Any]
    required: bool = False
    secret: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value


def _from_text(parse: Callable[[str], T]) -> Callable[[Any], T]:
    return lambda value: parse(_text(value))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 - a wrong value, like any other
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(value)
    return value


def _kind(value: Any) -> str:
    if value not in ("s3", "local"):
        raise ValueError(value)
    return str(value)


def _addressing(value: Any) -> str:
    if value not in ("path", "virtual"):
        raise ValueError(value)
    return str(value)


def _prefix(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - a wrong value, like any other
    return parse_prefix(value)


def _classes(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name.strip() for name in value):
        raise ValueError(value)
    return value


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


_SECONDS: Final = Key("a whole number of seconds, 1 or more", "30", _whole)
_URL: Final = Key(
    "an absolute http or https URL without query", '"https://cdn.example.com"', _from_text(parse_base_url)
)
_SECRET: Final = Key(
    'a text, or { env = "NAME" } for the variable that holds it', '{ env = "S3_SECRET" }', _text, secret=True
)

COMMON: Final[Mapping[str, Key]] = {
    "type": Key('"s3" or "local"', '"s3"', _kind, required=True),
    "id": Key(
        "a UUID in lower case, version 1 to 5", '"a1a0a7a6-2b3c-4d5e-8f90-123456789abc"', _from_text(parse_uuid), True
    ),
    "label": Key("a text without comma", '"news-archive"', _from_text(parse_label), required=True),
    "provider": Key("a text", '"Example Cloud"', _text),
    "product": Key("a text", '"Object Store 9"', _text),
    "region": Key("a text", '"eu-west-1"', _text),
    "availability_zone": Key("a text", '"eu-west-1a"', _text),
    "tags": Key("a table whose values are strings or lists of strings", '{ tier = "fast" }', require_tags),
    "auth_classes": Key("a list of classes", '["news"]', _classes),
    "public_url": _URL,
    "default": Key("true or false", "true", _boolean),
}
"""The keys of every backend."""

LOCAL: Final[Mapping[str, Key]] = {
    "directory": Key("the path of a directory", '"/var/lib/tams/media"', _path, required=True),
}
"""The keys of a local backend beside the common ones."""

S3: Final[Mapping[str, Key]] = {
    "bucket": Key("the name of a bucket", '"tams-media"', _from_text(parse_bucket), required=True),
    "endpoint": Key(
        "the http or https URL of an S3 server, without path", '"https://s3.example.com"', _from_text(parse_endpoint)
    ),
    "signing_region": Key("a region's name", '"us-east-1"', _text),
    "addressing": Key('"path" or "virtual"', '"path"', _addressing),
    "prefix": Key("at most 128 letters, digits, - _ . and / without an empty part", '"tams/media"', _prefix),
    "access_key_id": _SECRET,
    "secret_access_key": _SECRET,
    "profile": Key("the name of a profile in ~/.aws", '"tams"', _text),
    "verify_tls": Key("true or false", "true", _boolean),
    "ca_file": Key("the path of a file", '"/etc/ssl/our-ca.pem"', _path),
    "connect_timeout": _SECONDS,
    "read_timeout": _SECONDS,
    "attempts": Key("a whole number, 1 or more", "3", _whole),
    "connections": Key("a whole number, 1 or more", "16", _whole),
}
"""The keys of an S3 backend beside the common ones."""
