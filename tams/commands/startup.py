"""Starting a command: reading the settings, setting up logging, and turning refusals into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tams import logs
from tams.config import ConfigurationError, Settings
from tams.config.classes import read_classes
from tams.storage.configuration.configured import configured_backends

MISCONFIGURED = 2
"""The exit code of a command that cannot start as configured."""


def start(*, serving: bool = False, **overrides: Any) -> Settings:
    """Return the settings after checking every configuration file, creating the data directory and setting up logging.

    `serving` checks too what only matters where requests are answered (`Settings.check_serving`). `overrides` are
    attributes of `Settings`; None leaves the environment's value.

    Raises:
        ConfigurationError: a setting, a file or the data directory is not usable.
    """
    settings = _settings(overrides)
    if serving:
        settings.check_serving()
    # Checked before anything is created or served, so that no process fails later.
    if settings.auth_classes is not None:
        read_classes(settings.auth_classes)
    configured_backends(settings)
    settings.prepare_data_dir()
    logs.configure(settings)
    return settings


def start_without_media(data_dir: Path | None) -> Settings:
    """Return the settings for a command beside a running server that needs no storage backend.

    The backends may be unreachable from here. Nothing is created: the server has made the data directory.

    Raises:
        ConfigurationError: a setting is not usable.
    """
    return _settings({"data_dir": data_dir})


def exit_code(step: Callable[[], None]) -> int:
    """Run `step`; return 0, or print the sentence of a ConfigurationError and return 2."""
    try:
        step()
    except ConfigurationError as error:
        return misconfigured(error)
    return 0


def misconfigured(error: ConfigurationError) -> int:
    """Print the sentence that says what is configured wrongly; return the exit code."""
    click.echo(f"tams: {error}", err=True)
    return MISCONFIGURED


@contextmanager
def refusals() -> Iterator[None]:
    """Print the message of an error in the caller's input and exit with code 1."""
    from tams.domain.errors import TamsError
    from tams.services.access.users import UsersUnreadable

    try:
        yield
    except (TamsError, UsersUnreadable) as error:
        click.echo(f"tams: {error}", err=True)
        sys.exit(1)


def _settings(overrides: dict[str, Any]) -> Settings:
    return Settings.from_env(**{name: value for name, value in overrides.items() if value is not None})
