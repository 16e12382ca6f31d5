"""What `tams classes` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tams.app import opened_store
from tams.config import ConfigurationError
from tams.services.access.classification import classify

if TYPE_CHECKING:
    from tams.config import Settings


def assign(settings: Settings, names: Sequence[str], *, dry_run: bool) -> int:
    """Give the classes to every Source and Flow without any; the exit code. Raises ConfigurationError for a class that
    the file of the classes does not have."""
    with opened_store(settings) as store:
        if store.classes is not None:
            for name in names:
                if name not in store.classes.names:
                    known = ", ".join(sorted(store.classes.names))
                    raise ConfigurationError(f"{settings.auth_classes} has no class {name}: there are {known}.")
        looked_at, changed = 0, 0
        for step in classify(store, names, dry_run=dry_run):
            looked_at, changed = looked_at + step.looked_at, changed + step.changed
            click.echo(f"{looked_at} Sources and Flows looked at, {changed} without a class", err=True)
        done = "would get" if dry_run else "got"
        click.echo(f"{changed} of {looked_at} Sources and Flows {done} {', '.join(names)}.")
    return 0
