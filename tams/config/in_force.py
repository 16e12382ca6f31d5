"""The settings in force, for an operator to read: the value of each, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from tams.config.database_url import parse_database_url
from tams.config.environment import present_variables
from tams.config.fields import ConfigurationError
from tams.config.secret_files import SUFFIX, with_secret_files
from tams.config.settings import Settings, documentation

_HIDDEN: Final = "***"
_COMPLETED: Final = {
    "ENVIRONMENT": "environment",
    "LOG_LEVEL": "log_level",
    "TAMS_DATA_DIR": "data_dir",
    "TAMS_DATABASE_URL": "database_url",
    "TAMS_USERS_FILE": "users_file",
}
"""Settings whose default follows from others, with their attributes."""


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """One setting: its value as text (None: not set), and its source: `environment`, `file PATH` or `default`."""

    variable: str
    value: str | None
    source: str

    def as_dict(self) -> dict[str, object]:
        """Return the setting for JSON."""
        return asdict(self)


def in_force(environ: Mapping[str, str]) -> list[SettingInForce]:
    """Return every setting as `environ` has it, wrong values included, in the order of the documentation."""
    documents = list(documentation())
    present = present_variables(environ)
    try:
        variables, files = with_secret_files(present, [document.variable for document in documents if document.secret])
    except ConfigurationError:
        # The caller reports it. The names of the files are shown all the same.
        variables = present
        files = {name.removesuffix(SUFFIX): path for name, path in present.items() if name.endswith(SUFFIX)}
    completed = _completed(environ)
    settings = []
    for document in documents:
        name = document.variable
        source = f"file {files[name]}" if name in files else "environment" if name in variables else "default"
        if source != "default":
            value: str | None = _secret(name, variables) if document.secret else variables[name]
        else:
            value = completed.get(name, document.default) or None
        settings.append(SettingInForce(name, value, source))
    return settings


def _completed(environ: Mapping[str, str]) -> dict[str, str]:
    try:
        settings = Settings.from_env(environ)
    except ConfigurationError:
        return {}
    values = {name: str(getattr(settings, attribute)) for name, attribute in _COMPLETED.items()}
    if settings.auth is not None:
        values["TAMS_AUTH"] = ",".join(settings.auth) or "none"
    return values


def _secret(name: str, variables: Mapping[str, str]) -> str:
    if name != "TAMS_DATABASE_URL" or name not in variables:
        return _HIDDEN
    try:
        return parse_database_url(variables[name]).render(hide_password=True)
    except ValueError:
        return _HIDDEN
