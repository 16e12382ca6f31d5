"""Reading declared settings from environment variables, and documenting them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from difflib import get_close_matches
from typing import Any, Final, cast

from tams.config.fields import ConfigurationError, Kind, Variables

# An orchestrator that runs a service called "tams" puts these into every container's environment, and the tests have
# variables of their own: none of them is a setting.
_NOT_SETTINGS: Final = re.compile(r"TAMS_(HOST|PORT|PORT_.*|SERVICE_.*|TEST_.*)")


@dataclass(frozen=True, slots=True)
class SettingDocument:
    """One setting as the documentation shows it."""

    variable: str
    default: str
    expects: str
    explanation: str


def read_values(sections: Iterable[type], environ: Mapping[str, str], *, skip: Container[str] = ()) -> dict[str, Any]:
    """Return the values of the settings that `environ` sets, by attribute, except the attributes in `skip`.

    An empty variable counts as not set.

    Raises:
        ConfigurationError: a value is not accepted, or a `TAMS_` variable is not a setting.
    """
    present = {name: value for name, value in environ.items() if value.strip()}
    declarations = {_variable(declared): declared for declared in _declarations(sections)}
    _refuse_unknown(present, list(declarations))
    variables = Variables(present)
    return {
        declared.name: _read(variables, variable, declared)
        for variable, declared in declarations.items()
        if variable in present and declared.name not in skip
    }


def describe(sections: Iterable[type]) -> Iterator[SettingDocument]:
    """Yield the documentation of every setting, in the order of the declarations."""
    for declared in _declarations(sections):
        metadata = declared.metadata
        default = declared.default if metadata["shown"] == "" else metadata["shown"]
        yield SettingDocument(
            variable=_variable(declared),
            default="" if default in (None, ()) else str(default),
            expects=_kind(declared).expects,
            explanation=metadata["explanation"],
        )


def _declarations(sections: Iterable[type]) -> Iterator[Field[Any]]:
    for section in sections:
        yield from fields(section)


def _variable(declared: Field[Any]) -> str:
    return cast("str", declared.metadata["variable"]) or f"TAMS_{declared.name.upper()}"


def _kind(declared: Field[Any]) -> Kind[Any]:
    return cast("Kind[Any]", declared.metadata["kind"])


def _read(variables: Variables, name: str, declared: Field[Any]) -> Any:
    kind = _kind(declared)
    try:
        return kind.read(variables, name)
    except ValueError as error:
        value = "has a value that" if declared.metadata["secret"] else f"is {variables.str(name)!r}, which"
        raise ConfigurationError(
            f"{name} {value} is not accepted: write {kind.expects}, such as {name}={kind.example}."
        ) from error


def _refuse_unknown(names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if not name.startswith("TAMS_") or name in known or _NOT_SETTINGS.fullmatch(name):
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=0.7)
        remedy = f"did you mean {nearest[0]}?" if nearest else "remove it; `tams settings` shows all that there are."
        raise ConfigurationError(f"{name} is not a setting: {remedy}")
