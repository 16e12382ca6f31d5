"""What the `tams db` commands do besides upgrading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tams.app import open_repository
from tams.domain.errors import Unavailable

if TYPE_CHECKING:
    from tams.config import Settings


def check(settings: Settings) -> int:
    """Say what the database has and lacks; the exit code, 1 where something is missing."""
    lacking: list[str] = []
    repository = open_repository(settings)
    try:
        if settings.repository == "vast":
            from tams import vast_commands
            from tams.repository import vast

            address = vast.Address(**settings.vast_address())
            for sentence in vast.described(address):
                click.echo(sentence)
            lacking = vast.missing(address)
            suits, sentence = vast_commands.suitability(settings)
            if suits:
                click.echo(sentence)
            else:
                lacking.append(sentence)
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
