"""Functions that turn the text of a setting into its value, and raise ValueError for a text that is not accepted."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from tams.config.database_url import parse_database_url
from tams.domain.destinations import parse_allowed
from tams.domain.identifiers import is_uuid
from tams.domain.origins import web_origin

Tags = dict[str, str | list[str]]

SHORTEST_SECRET: Final = 32
"""The minimum length of a secret, in bytes."""

LONGEST_PREFIX: Final = 128
"""The maximum length of a key prefix, in characters: up to 880 of the 1024 bytes of a key follow it."""

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE: Final = re.compile(r"([0-9]{1,15}) *([a-z]{0,3})", re.ASCII | re.IGNORECASE)

_LONGEST_NUMBER: Final = 9
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)


def parse_list(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list without the white space around them; leave out empty parts."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


def parse_size(text: str) -> int:
    """Return a number of bytes, from a number with or without a unit."""
    match = _SIZE.fullmatch(text)
    factor = _UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None or int(match[1]) == 0:
        raise ValueError(text)
    return int(match[1]) * factor


def parse_base_url(text: str) -> str:
    """Return an absolute http or https URL that has no query and no credentials, without its last slash."""
    parts = urlsplit(text)
    # `port` raises ValueError itself if it is not a port.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(text)
    if parts.query or parts.fragment or parts.username is not None or not text.isascii() or " " in text:
        raise ValueError(text)
    return text.rstrip("/")


def parse_endpoint(text: str) -> str:
    """Return the URL of a server: a base URL without path."""
    url = parse_base_url(text)
    if urlsplit(url).path:
        raise ValueError(text)
    return url


def parse_keys_url(text: str) -> str:
    """Return an absolute http or https URL that has no credentials and no fragment."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0 or parts.username is not None:
        raise ValueError(text)
    if parts.fragment or not text.isascii() or " " in text:
        raise ValueError(text)
    return text


def parse_sql_url(text: str) -> str:
    """Return the URL of a SQLite file or a PostgreSQL database; for PostgreSQL, with the driver of the store."""
    url = parse_database_url(text)
    if url.driver == "sqlite" and url.database not in {None, "", ":memory:"}:
        return text
    if url.driver in {"postgresql", "postgresql+psycopg"} and url.database:
        return replace(url, driver="postgresql+psycopg").render()
    raise ValueError(text)


def parse_proxies(text: str) -> tuple[str, ...]:
    """Return IP networks, and the word `unix` for a Unix socket."""
    return tuple(item if item == "unix" else str(ipaddress.ip_network(item)) for item in parse_list(text))


def parse_origins(text: str) -> tuple[str, ...]:
    """Return web origins as browsers send them, each of them once, or `*` alone."""
    if text == "*":
        return ("*",)
    return tuple(dict.fromkeys(web_origin(parse_endpoint(item)) for item in parse_list(text)))


def parse_destinations(text: str) -> tuple[str, ...]:
    """Return host names, IP addresses and networks."""
    items = parse_list(text)
    parse_allowed(items)
    return items


def parse_delays(text: str) -> tuple[int, ...]:
    """Return whole numbers of seconds, 0 or more; at least one."""
    items = parse_list(text)
    if not items or not all(item.isascii() and item.isdigit() and len(item) <= _LONGEST_NUMBER for item in items):
        raise ValueError(text)
    return tuple(int(item) for item in items)


def parse_uuid(text: str) -> str:
    """Return an id as `uuid.json` has it."""
    if not is_uuid(text):
        raise ValueError(text)
    return text


def parse_label(text: str) -> str:
    """Return a label without a comma, because clients choose among URLs by a comma-separated list of labels."""
    if "," in text:
        raise ValueError(text)
    return text


def parse_bucket(text: str) -> str:
    """Return the name of an S3 bucket: AWS's rules, and capitals and underscores, which old buckets have."""
    if not _BUCKET.fullmatch(text) or ".." in text:
        raise ValueError(text)
    return text


def parse_prefix(text: str) -> str:
    """Return a key prefix: empty, or ending with a slash. Its characters are valid in every S3 server and URL."""
    inner = text.strip("/")
    if not inner:
        return ""
    if len(inner) > LONGEST_PREFIX or not _PREFIX.fullmatch(inner) or {".", ".."} & set(inner.split("/")):
        raise ValueError(text)
    return inner + "/"


def parse_secret(text: str) -> str:
    """Return a text that is too long to be guessed."""
    if len(text.encode()) < SHORTEST_SECRET:
        raise ValueError
    return text


def require_tags(value: object) -> Tags:
    """Return `value` if it is a set of tags, whose values are strings or lists of strings."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(value)
    for tag in value.values():
        if not isinstance(tag, str) and not (isinstance(tag, list) and all(isinstance(item, str) for item in tag)):
            raise ValueError(value)
    return value
