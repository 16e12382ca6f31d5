"""The backends file, which describes several Storage Backends: TOML, one `[[backend]]` table for each.

TOML spells each value in one way, its errors have line numbers, and Python's library reads it. A value that is not
accepted is refused with the file, the line, the key, and what to write.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn

from tams.config import ConfigurationError
from tams.domain.access import AUTH_CLASSES
from tams.storage.configuration.backend_keys import COMMON, LOCAL, S3, Key
from tams.storage.configuration.backends import (
    AWS_PROVIDER,
    BackendConfiguration,
    LocalConfiguration,
    S3Configuration,
    default_signing_region,
)
from tams.storage.configuration.toml_lines import line_of
from tams.storage.port import Backend

_TABLE: Final = "backend"


def read_backends(path: Path, environ: Mapping[str, str] | None = None) -> list[BackendConfiguration]:
    """Return the backends that the file describes, in its order.

    `environ` holds the variables that the file may refer to (default: the process's environment).

    Raises:
        ConfigurationError: the message names the file, the line, the key, and what to write.
    """
    return _File(path, os.environ if environ is None else environ).backends()


class _File:
    """A backends file while it is read."""

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
        """Return every backend, checked alone and against the others."""
        tables = self._document.get(_TABLE)
        for name in self._document:
            if name != _TABLE:
                self._refuse((name,), f"{name} is not known here: write [[backend]] above the keys of each backend")
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            self._refuse((_TABLE,), "there is no backend: write [[backend]], and below it the keys of the first one")
        backends = [self._backend(index, table) for index, table in enumerate(tables)]
        self._check_together(backends)
        if len(backends) == 1 and "default" not in tables[0]:
            # A single backend is the default even if the file does not say so.
            backends = [replace(backends[0], backend=replace(backends[0].backend, default=True))]
        return backends

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

    def _check_together(self, backends: Sequence[BackendConfiguration]) -> None:
        self._refuse_repeated("id", [item.backend.id for item in backends])
        self._refuse_repeated("label", [item.backend.label for item in backends])
        self._refuse_repeated(
            "directory", [item.directory if isinstance(item, LocalConfiguration) else None for item in backends]
        )
        self._refuse_repeated("default", [item.backend.default or None for item in backends])

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
        if key.secret and isinstance(value, dict):
            value = self._from_environment((_TABLE, index, name), name, key, value)
        try:
            return key.parse(value)
        except ValueError:
            shown = f"{name} has a value that" if key.secret else f"{name} is {value!r}, which"
            self._refuse((_TABLE, index, name), f"{shown} is not accepted: {_write(name, key)}")

    def _from_environment(self, path: tuple[str | int, ...], name: str, key: Key, reference: Mapping[str, Any]) -> str:
        variable = reference.get("env")
        if not isinstance(variable, str) or len(reference) != 1:
            self._refuse(path, f"{name} is no reference to a variable: {_write(name, key)}")
        if variable.startswith("TAMS_"):
            self._refuse(
                path,
                f"{name} refers to the variable {variable}, and variables that begin with TAMS_ are settings: give the "
                "variable another name",
            )
        value = self._environ.get(variable, "")
        if not value.strip():
            self._refuse(path, f"{name} refers to the variable {variable}, which is not set: set it")
        return value.strip()

    def _refuse_missing(self, index: int, name: str, key: Key, why: str = "") -> NoReturn:
        self._refuse((_TABLE, index), f"this backend has no {name}{why}: {_write(name, key)}")

    def _refuse(self, path: tuple[str | int, ...], message: str, end: str = ".") -> NoReturn:
        raise ConfigurationError(f"{self._path}, line {line_of(self._text, path)}: {message}{end}")


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
