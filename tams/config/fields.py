"""The building blocks of settings: what a variable may hold, and how a setting is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

from environs import Env, validate

from tams.config.parsers import SHORTEST_SECRET, parse_base_url, parse_secret, parse_size, parse_uuid, require_tags

T = TypeVar("T")

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


class ConfigurationError(Exception):
    """The store cannot start as configured. `str(error)` is a sentence that names the variable and the remedy."""


class Variables(Env):
    """The reader of `environs`, over a given mapping in place of the process's own environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._source = environ

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._source.get(env_key, default)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """The kind of value that a variable holds.

    `expects` completes the sentence "write …"; `example` is a value that is accepted. `read` takes the variable of that
    name, and raises ValueError (as `environs` does) if its value is not accepted.
    """

    expects: str
    example: str
    read: Callable[[Variables, str], T]


def text(expects: str, example: str) -> Kind[str]:
    """Return the kind that accepts any text."""
    return Kind(expects, example, lambda variables, name: variables.str(name))


def parsed(expects: str, example: str, parse: Callable[[str], T]) -> Kind[T]:
    """Return the kind whose text `parse` turns into a value, or refuses with ValueError."""
    return Kind(expects, example, lambda variables, name: parse(variables.str(name)))


def whole(unit: str, minimum: int, example: int) -> Kind[int]:
    """Return the kind that accepts a whole number, `minimum` or more."""
    return Kind(
        f"a whole number of {unit}, {minimum} or more",
        str(example),
        lambda variables, name: variables.int(name, validate=validate.Range(min=minimum)),
    )


def one_of(*values: str) -> Kind[str]:
    """Return the kind that accepts one of these words."""
    return Kind(
        "one of " + ", ".join(values) if len(values) > 1 else f"the word {values[0]}",
        values[0],
        lambda variables, name: variables.str(name, validate=validate.OneOf(values)),
    )


BOOLEAN: Final = Kind("true or false", "true", lambda variables, name: variables.bool(name))
BOOLEAN_OR_AUTO: Final[Kind[bool | Literal["auto"]]] = Kind(
    "true, false or auto",
    "auto",
    lambda variables, name: "auto" if variables.str(name).strip().lower() == "auto" else variables.bool(name),
)
SIZE: Final = parsed("a size in bytes, or with one of the units KiB, MiB, GiB, kB, MB, GB", "16MiB", parse_size)
DIRECTORY: Final = parsed("the path of a directory", "/var/lib/tams", Path)
FILE: Final = parsed("the path of a file", "/etc/tams/storage.toml", Path)
BASE_URL: Final = parsed("an absolute http or https URL without query", "https://tams.example.com", parse_base_url)
SECRET: Final = parsed(
    f"a random text of {SHORTEST_SECRET} bytes or more", "$(head -c 32 /dev/urandom | base64)", parse_secret
)
TAGS: Final = Kind(
    "a JSON object whose values are strings or lists of strings",
    '{"tier": "fast"}',
    lambda variables, name: require_tags(variables.json(name)),
)


def uuid(example: str) -> Kind[str]:
    """Return the kind that accepts an id as `uuid.json` has it."""
    return parsed("a UUID in lower case, version 1 to 5", example, parse_uuid)


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

    The variable is `TAMS_` and the field's name in upper case unless `variable` names another. `shown` is the default
    as the documentation writes it, if that is not the value itself. A `secret` never appears in a message or repr.
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
