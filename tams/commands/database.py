"""`tams db check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tams import adapters
from tams.commands.vast import interruptible
from tams.domain.errors import Unavailable

if TYPE_CHECKING:
    from tams.config import Settings


def check(settings: Settings) -> int:
    """Say what the database has and lacks; return the exit code, 1 where something is missing."""
    lacking: list[str] = []
    repository = adapters.open_repository(settings)
    try:
        with interruptible():
            description = adapters.describe(settings)
        for sentence in description.facts:
            click.echo(sentence)
        lacking = description.lacking
        repository.check()
    except Unavailable as error:
        lacking.append(str(error))
    finally:
        repository.close()
    for sentence in lacking:
        click.echo(f"lacking: {sentence}")
    if not lacking:
        click.echo(f"The database {settings.shown_database_url()} has all that this version of the store needs.")
    return 1 if lacking else 0
