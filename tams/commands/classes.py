"""`tams classes`: giving classes to media."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tams.app import opened_store
from tams.commands import options, tables
from tams.commands.startup import start_without_media
from tams.config import ConfigurationError, Settings
from tams.config.classes import read_classes
from tams.domain.access import PERMISSIONS
from tams.services.access.classification import classify


@click.group()
def classes() -> None:
    """Manage classes, which share media with groups (TAMS_AUTH_CLASSES)."""


@classes.command("assign", short_help="Assign classes to Sources and Flows that have none.")
@options.data_dir
@click.option("--dry-run", is_flag=True, help="Only count the Sources and Flows.")
@click.argument("names", nargs=-1, required=True, metavar="CLASS...")
def assign_command(data_dir: Path | None, dry_run: bool, names: tuple[str, ...]) -> None:
    """Give the classes to every Source and Flow without a class, read-only ones included.

    For an archive that is older than its classes, whose media only admins can read. Works in small transactions, beside
    running servers, and sends events to webhooks. After an interruption, run it again to continue.
    """
    sys.exit(assign(start_without_media(data_dir), names, dry_run=dry_run))


@classes.command("list")
@tables.as_json
def list_command(as_json: bool) -> None:
    """List the classes of TAMS_AUTH_CLASSES, with the groups that may read, write and delete their media."""
    settings = start_without_media(None)
    if settings.auth_classes is None:
        raise ConfigurationError("TAMS_AUTH_CLASSES is not set: name the file of the classes.")
    classes = read_classes(settings.auth_classes)
    rows = [
        {"class": name, **{permission: classes.groups(name, permission) for permission in PERMISSIONS}}
        for name in sorted(classes.names)
    ]
    tables.show({name: name for name in ("class", *PERMISSIONS)}, rows, as_json=as_json)


def assign(settings: Settings, names: Sequence[str], *, dry_run: bool) -> int:
    """Give the classes to every Source and Flow without a class; return the exit code.

    Raises:
        ConfigurationError: TAMS_AUTH_CLASSES does not define one of the classes.
    """
    with opened_store(settings, storages={}) as store:
        if store.classes is not None:
            for name in names:
                if name not in store.classes.names:
                    known = ", ".join(sorted(store.classes.names))
                    raise ConfigurationError(f"{settings.auth_classes} has no class {name}: there are {known}.")
        looked_at, changed = 0, 0
        for step in classify(store, names, dry_run=dry_run):
            looked_at, changed = looked_at + step.looked_at, changed + step.changed
            click.echo(f"{looked_at} Sources and Flows looked at, {changed} without a class", err=True)
        outcome = "would get" if dry_run else "got"
        click.echo(f"{changed} of {looked_at} Sources and Flows {outcome} {', '.join(names)}.")
    return 0
