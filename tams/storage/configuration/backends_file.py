"""The file that describes several Storage Backends: TOML, one `[[backend]]` table for each.

TOML has one spelling for each value, says where it is broken, and Python reads it by itself. Whatever is not accepted
is refused with the file, the line, the key, and what to write instead.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from tams.config import ConfigurationError
from tams.config.parsers import (
    parse_base_url,
    parse_bucket,
    parse_endpoint,
    parse_label,
    parse_prefix,
    parse_uuid,
    require_tags,
)
from tams.domain.access import AUTH_CLASSES
from tams.storage.configuration.backends import (
    AWS_PROVIDER,
    BackendConfiguration,
    LocalConfiguration,
    S3Configuration,
    default_signing_region,
)
from tams.storage.port import Backend

T = TypeVar("T")

_TABLE: Final = "backend"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a `[[backend]]` table: `expects` completes the sentence "write …"; `read` raises ValueError."""

    expects: str
    example: str
    read: Callable[[Any], Any]
    required: bool = False


def read_backends(path: Path, environ: Mapping[str, str] | None = None) -> list[BackendConfiguration]:
    """The backends that the file describes, in its order. Raises ConfigurationError."""
    return _File(path, os.environ if environ is None else environ).backends()


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
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValueError(value)
    return value


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


_SECONDS: Final = Key("a whole number of seconds, 1 or more", "30", _whole)
_URL: Final = Key(
    "an absolute http or https URL without query", '"https://cdn.example.com"', _from_text(parse_base_url)
)
_SECRET: Final = Key('a text, or { env = "NAME" } for the variable that holds it', '{ env = "S3_SECRET" }', _text)

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


class _File:
    """One backends file while it is read."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        try:
            self._text = path.read_text(encoding="utf-8")
            self._document = tomllib.loads(self._text)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{path} cannot be read ({error}): name the file of the storage backends with TAMS_STORAGE_CONFIG."
            ) from error
        except tomllib.TOMLDecodeError as error:
            # Its message says the line and column.
            raise ConfigurationError(
                f"{path} is not TOML: {error}. See docs/reference/backends-file.md for an example."
            ) from error

    def backends(self) -> list[BackendConfiguration]:
        """Every backend, checked alone and against the others."""
        tables = self._document.get(_TABLE)
        for name in self._document:
            if name != _TABLE:
                self._refuse((name,), f"{name} is not known here: write [[backend]] above the keys of each backend")
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            self._refuse((_TABLE,), "there is no backend: write [[backend]], and below it the keys of the first one")
        found = [self._backend(index, table) for index, table in enumerate(tables)]
        self._check_together(found)
        if len(found) == 1 and "default" not in tables[0]:
            # Without a choice, nobody should have to choose.
            found = [replace(found[0], backend=replace(found[0].backend, default=True))]
        return found

    def _backend(self, index: int, table: Mapping[str, Any]) -> BackendConfiguration:
        if "type" not in table:
            self._refuse_missing(index, "type", COMMON["type"])
        kind = self._value(index, table, "type", COMMON["type"])
        known = {**COMMON, **(S3 if kind == "s3" else LOCAL)}
        for name in table:
            if name not in known:
                near = get_close_matches(name, known, n=1, cutoff=0.6)
                remedy = f"did you mean {near[0]}?" if near else f"remove it; there are {', '.join(known)}."
                self._refuse((_TABLE, index, name), f"{name} is not a key of a backend of type {kind}: {remedy}", "")
        for name, key in known.items():
            if key.required and name not in table:
                self._refuse_missing(index, name, key)
        values = {name: self._value(index, table, name, known[name]) for name in table}
        if AUTH_CLASSES in values and AUTH_CLASSES in values.get("tags", {}):
            self._refuse((_TABLE, index, "tags"), f"tags has {AUTH_CLASSES}, which is a key of its own: remove one")
        return self._s3(index, values) if kind == "s3" else self._local(values)

    def _s3(self, index: int, values: dict[str, Any]) -> S3Configuration:
        endpoint, region = values.get("endpoint"), values.get("region")
        values.setdefault("signing_region", default_signing_region(endpoint, region))
        if values["signing_region"] is None:
            self._refuse_missing(index, "region", COMMON["region"], " (AWS needs it; other servers need endpoint)")
        for one, other in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
            if one in values and other not in values:
                self._refuse_missing(index, other, S3[other], f" beside {one}")
        if "profile" in values and "access_key_id" in values:
            self._refuse((_TABLE, index, "profile"), "profile and access_key_id are both given: remove one of them")
        backend = _backend(values, AWS_PROVIDER if endpoint is None else "s3", "s3")
        return S3Configuration(
            backend=backend, **{name: value for name, value in values.items() if name in S3 or name == "public_url"}
        )

    def _local(self, values: Mapping[str, Any]) -> LocalConfiguration:
        return LocalConfiguration(
            backend=_backend(values, "local", "tams-local"),
            directory=values["directory"],
            public_url=values.get("public_url"),
        )

    def _check_together(self, found: Sequence[BackendConfiguration]) -> None:
        self._refuse_repeated("id", [item.backend.id for item in found])
        self._refuse_repeated("label", [item.backend.label for item in found])
        self._refuse_repeated(
            "directory", [item.directory if isinstance(item, LocalConfiguration) else None for item in found]
        )
        self._refuse_repeated("default", [item.backend.default or None for item in found])

    def _refuse_repeated(self, name: str, values: Sequence[object]) -> None:
        seen: set[object] = set()
        for index, value in enumerate(values):
            if value is not None and value in seen:
                shown = "default is true" if value is True else f"{name} is {str(value)!r}"
                remedy = "remove it here" if value is True else "write another one"
                self._refuse((_TABLE, index, name), f"{shown}, as for another backend before: {remedy}")
            seen.add(value)

    def _value(self, index: int, table: Mapping[str, Any], name: str, key: Key) -> Any:
        value = table[name]
        secret = key is _SECRET
        if secret and isinstance(value, dict):
            value = self._from_environment((_TABLE, index, name), name, value)
        try:
            return key.read(value)
        except ValueError:
            shown = f"{name} has a value that" if secret else f"{name} is {value!r}, which"
            self._refuse((_TABLE, index, name), f"{shown} is not accepted: {_write(name, key)}")

    def _from_environment(self, place: tuple[str | int, ...], name: str, reference: Mapping[str, Any]) -> str:
        variable = reference.get("env")
        if not isinstance(variable, str) or len(reference) != 1:
            self._refuse(place, f"{name} is no reference to a variable: {_write(name, _SECRET)}")
        if variable.startswith("TAMS_"):
            self._refuse(
                place,
                f"{name} refers to the variable {variable}, and variables that begin with TAMS_ are settings: give the "
                "variable another name",
            )
        value = self._environ.get(variable, "")
        if not value.strip():
            self._refuse(place, f"{name} refers to the variable {variable}, which is not set: set it")
        return value.strip()

    def _refuse_missing(self, index: int, name: str, key: Key, why: str = "") -> NoReturn:
        self._refuse((_TABLE, index), f"this backend has no {name}{why}: {_write(name, key)}")

    def _refuse(self, place: tuple[str | int, ...], message: str, end: str = ".") -> NoReturn:
        raise ConfigurationError(f"{self._path}, line {_line(self._text, place)}: {message}{end}")


def _write(name: str, key: Key) -> str:
    return f"write {key.expects}, such as {name} = {key.example}"


def _backend(values: Mapping[str, Any], provider: str, product: str) -> Backend:
    return Backend(
        id=values["id"],
        label=values["label"],
        provider=values.get("provider", provider),
        store_product=values.get("product", product),
        region=values.get("region"),
        availability_zone=values.get("availability_zone"),
        tags={**values.get("tags", {}), **({AUTH_CLASSES: classes} if (classes := values.get(AUTH_CLASSES)) else {})},
        default=values.get("default", False),
    )


def _line(text: str, place: tuple[str | int, ...]) -> int:
    """The line that something stands at (1 where it is nowhere).

    A parser that keeps no lines tells them all the same: of the text's beginnings that are TOML by themselves, the
    first one that holds the place ends with its statement.
    """
    begin = 1
    for end, beginning in _beginnings(text):
        try:
            document = tomllib.loads(beginning)
        except tomllib.TOMLDecodeError:
            continue
        if _holds(document, place):
            lines = text.splitlines()[begin - 1 : end]
            blank = next((n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
            return begin + blank
        begin = end + 1
    return 1


def _beginnings(text: str) -> Iterator[tuple[int, str]]:
    beginning = ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        beginning += line
        yield number, beginning


def _holds(document: Any, place: tuple[str | int, ...]) -> bool:
    for step in place:
        if isinstance(step, int):
            if not isinstance(document, list) or len(document) <= step:
                return False
        elif not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return True
