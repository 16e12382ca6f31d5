"""Reading declared settings from environment variables, and documenting them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from difflib import get_close_matches
from typing import Any, Final, cast

from tams.config.fields import ConfigurationError, Kind, Variables
from tams.config.secret_files import with_secret_files

# Kubernetes describes every Service by variables in every container of its namespace. Those of a Service whose name is
# `tams` or begins with `tams-` look like settings.
_OF_KUBERNETES: Final = re.compile(
    r"TAMS_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
# `TAMS_API_PORT` may also be a misspelt setting: only the value of Kubernetes is a URL of a transport protocol.
_PORT_OF_KUBERNETES: Final = re.compile(r"TAMS_([A-Z0-9_]+_)?PORT")
_ADDRESS_OF_KUBERNETES: Final = re.compile(r"(tcp|udp|sctp)://.*")
# TAMS_CLIENT_… configures client programs, TAMS_TEST_… the tests, and containers often carry TAMS_HOST and TAMS_PORT.
_OF_OTHERS: Final = re.compile(r"TAMS_(HOST|PORT|CLIENT_.*|TEST_.*)")


@dataclass(frozen=True, slots=True)
class SettingDocument:
    """One setting as the documentation shows it."""

    variable: str
    default: str
    expects: str
    explanation: str
    secret: bool


def read_values(sections: Iterable[type], environ: Mapping[str, str], *, skip: Container[str] = ()) -> dict[str, Any]:
    """Return the values of the settings that `environ` sets, by attribute, except the attributes in `skip`.

    An empty variable counts as not set. A secret may be in a file (`with_secret_files`).

    Raises:
        ConfigurationError: a value is not accepted, or a `TAMS_` variable is not a setting.
    """
    declarations = {_variable(declared): declared for declared in _declarations(sections)}
    secrets = [variable for variable, declared in declarations.items() if declared.metadata["secret"]]
    present, _ = with_secret_files(present_variables(environ), secrets)
    _refuse_unknown({name: value for name, value in present.items() if not is_ignored(name, value)}, list(declarations))
    variables = Variables(present)
    return {
        declared.name: _read(variables, variable, declared)
        for variable, declared in declarations.items()
        if variable in present and declared.name not in skip
    }


def present_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are set: an empty one is not."""
    return {name: value for name, value in environ.items() if value.strip()}


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
            secret=metadata["secret"],
        )


def is_ignored(name: str, value: str) -> bool:
    """Return whether a variable that begins with `TAMS_` is known to belong to Kubernetes, to a client or to a test."""
    if _OF_KUBERNETES.fullmatch(name) or _OF_OTHERS.fullmatch(name):
        return True
    return bool(_PORT_OF_KUBERNETES.fullmatch(name) and _ADDRESS_OF_KUBERNETES.fullmatch(value))


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
        if not name.startswith("TAMS_") or name in known:
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=0.7)
        remedy = f"did you mean {nearest[0]}?" if nearest else "remove it; `tams settings` shows all that there are."
        raise ConfigurationError(f"{name} is not a setting: {remedy}")
