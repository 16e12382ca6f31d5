"""What a setting may hold, and how one is declared: the vocabulary that `Settings` is written in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from environs import Env, validate
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from tams.domain.destinations import parse_allowed
from tams.domain.identifiers import is_uuid

T = TypeVar("T")
Tags = dict[str, str | list[str]]

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

SHORTEST_SECRET: Final = 32
"""Bytes that a secret has at least."""

LONGEST_PREFIX: Final = 128
"""Characters that a key prefix has at most: what follows it is up to 880 of the 1024 bytes that a key may have."""

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": KIB * GIB,
}
_SIZE: Final = re.compile(r"([0-9]{1,15}) *([a-z]{0,3})", re.ASCII | re.IGNORECASE)

_LONGEST_NUMBER: Final = 9
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)


class ConfigurationError(Exception):
    """The store cannot start as configured. `str(error)` is a sentence that names the variable and the remedy."""


class Variables(Env):
    """The reader of `environs`, over a given mapping instead of always over the process's own environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._given = environ

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._given.get(env_key, default)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What a variable may hold: `expects` completes the sentence "write …", `example` is a value that is accepted.

    `read` takes the variable of that name, and raises ValueError (as `environs` does) where it is not accepted.
    """

    expects: str
    example: str
    read: Callable[[Variables, str], T]


def text(expects: str, example: str) -> Kind[str]:
    """Any text."""
    return Kind(expects, example, lambda variables, name: variables.str(name))


def parsed(expects: str, example: str, parse: Callable[[str], T]) -> Kind[T]:
    """A text that `parse` makes a value of, or refuses with ValueError."""
    return Kind(expects, example, lambda variables, name: parse(variables.str(name)))


def whole(unit: str, minimum: int, example: int) -> Kind[int]:
    """A whole number from `minimum` upwards."""
    return Kind(
        f"a whole number of {unit}, {minimum} or more",
        str(example),
        lambda variables, name: variables.int(name, validate=validate.Range(min=minimum)),
    )


def one_of(*values: str) -> Kind[str]:
    """One of these words."""
    return Kind(
        "one of " + ", ".join(values) if len(values) > 1 else f"the word {values[0]}",
        values[0],
        lambda variables, name: variables.str(name, validate=validate.OneOf(values)),
    )


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for part in text.split(",") if (item := part.strip()))


def read_size(text: str) -> int:
    """Bytes, from a number with or without a unit."""
    match = _SIZE.fullmatch(text)
    factor = _UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None or int(match[1]) == 0:
        raise ValueError(text)
    return int(match[1]) * factor


def read_base_url(text: str) -> str:
    """An absolute http or https URL without query, credentials and last slash."""
    parts = urlsplit(text)
    # `port` raises ValueError by itself where it is no port.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(text)
    if parts.query or parts.fragment or parts.username is not None or not text.isascii() or " " in text:
        raise ValueError(text)
    return text.rstrip("/")


def read_proxies(text: str) -> tuple[str, ...]:
    """IP networks, and the word `unix`."""
    return tuple(item if item == "unix" else str(ipaddress.ip_network(item)) for item in _items(text))


def read_origins(text: str) -> tuple[str, ...]:
    """Web origins, or `*` alone."""
    if text == "*":
        return ("*",)
    origins = tuple(read_base_url(item) for item in _items(text))
    if any(urlsplit(origin).path for origin in origins):
        raise ValueError(text)
    return origins


def read_allowed(text: str) -> tuple[str, ...]:
    """Names of hosts, IP addresses and networks."""
    items = _items(text)
    parse_allowed(items)
    return items


def read_waits(text: str) -> tuple[int, ...]:
    """Whole numbers of seconds, 0 or more."""
    items = _items(text)
    if not items or not all(item.isascii() and item.isdigit() and len(item) <= _LONGEST_NUMBER for item in items):
        raise ValueError(text)
    return tuple(int(item) for item in items)


def read_uuid(text: str) -> str:
    """An id as `uuid.json` has it."""
    if not is_uuid(text):
        raise ValueError(text)
    return text


def read_label(text: str) -> str:
    """A label without comma."""
    # Clients choose among URLs by a comma list of labels.
    if "," in text:
        raise ValueError(text)
    return text


def read_bucket(text: str) -> str:
    """The name of an S3 bucket, as strict as AWS but for capitals and underscores, which old buckets have."""
    if not _BUCKET.fullmatch(text) or ".." in text:
        raise ValueError(text)
    return text


def read_endpoint(text: str) -> str:
    """The URL of an S3 server: `read_base_url` without path."""
    url = read_base_url(text)
    if urlsplit(url).path:
        raise ValueError(text)
    return url


def read_prefix(text: str) -> str:
    """What keys begin with: empty, or ending with a slash. Only characters that every S3 server and URL takes."""
    inner = text.strip("/")
    if not inner:
        return ""
    if len(inner) > LONGEST_PREFIX or not _PREFIX.fullmatch(inner) or {".", ".."} & set(inner.split("/")):
        raise ValueError(text)
    return inner + "/"


def read_secret(text: str) -> str:
    """A text too long to be guessed."""
    if len(text.encode()) < SHORTEST_SECRET:
        raise ValueError
    return text


def check_tags(value: object) -> Tags:
    """Tags, whose values are strings or lists of strings. ValueError for anything else."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(value)
    for held in value.values():
        if not isinstance(held, str) and not (isinstance(held, list) and all(isinstance(item, str) for item in held)):
            raise ValueError(value)
    return value


def read_database_url(text: str) -> str:
    """The URL of a SQLite file or a PostgreSQL database, with the driver that the store brings."""
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ValueError(text) from error
    if url.drivername == "sqlite" and url.database not in {None, "", ":memory:"}:
        return text
    if url.drivername in {"postgresql", "postgresql+psycopg"} and url.database:
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    raise ValueError(text)


BOOLEAN: Final = Kind("true or false", "true", lambda variables, name: variables.bool(name))
SIZE: Final = parsed("a size in bytes, or with one of the units KiB, MiB, GiB, kB, MB, GB", "16MiB", read_size)
DIRECTORY: Final = parsed("the path of a directory", "/var/lib/tams", Path)
FILE: Final = parsed("the path of a file", "/etc/tams/storage.toml", Path)
BASE_URL: Final = parsed("an absolute http or https URL without query", "https://tams.example.com", read_base_url)
TAGS: Final = Kind(
    "a JSON object whose values are strings or lists of strings",
    '{"tier": "fast"}',
    lambda variables, name: check_tags(variables.json(name)),
)


def setting(
    kind: Kind[T],
    default: Any,
    explanation: str,
    *,
    variable: str = "",
    shown: str = "",
    secret: bool = False,
) -> Any:
    """Declare one setting as a dataclass field.

    The variable is `TAMS_` and the field's name in upper case unless `variable` says otherwise; `shown` is the default
    as the documentation writes it, where that is not the value itself; a `secret` never appears in a message or repr.
    """
    metadata = {
        "kind": kind,
        "explanation": explanation,
        "variable": variable,
        "shown": shown,
        "secret": secret,
    }
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata, repr=not secret, hash=False)
    return field(default=default, metadata=metadata, repr=not secret)
