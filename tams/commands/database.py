"""`tams db`: upgrading and checking the database."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tams import adapters
from tams.commands import options
from tams.commands.interruption import interruptible
from tams.commands.new_database import new_database_option, upgrade_database
from tams.commands.startup import start
from tams.config import Settings
from tams.domain.errors import Unavailable, Unusable


@click.group()
def db() -> None:
    """Manage the database."""


@db.command("upgrade")
@options.data_dir
@new_database_option
def upgrade_command(data_dir: Path | None, new_database: bool) -> None:
    """Create the database, or bring it up to date; safe at any time, also concurrently.

    Before changing TAMS_VAST_CONCURRENCY, stop every server and worker.
    """
    settings = start(data_dir=data_dir)
    upgrade_database(settings, new=new_database, change_concurrency=True)
    click.echo(f"The database {settings.shown_database_url()} is up to date.")


@db.command("check")
@options.data_dir
def check_command(data_dir: Path | None) -> None:
    """Check that the database answers, can be changed, and lacks nothing; exit with code 1 otherwise."""
    sys.exit(check(start(data_dir=data_dir)))


def check(settings: Settings) -> int:
    """Print what the database has and lacks; return the exit code, 1 if something is missing."""
    lacking: list[str] = []
    repository = adapters.open_repository(settings)
    try:
        with interruptible():
            description = adapters.describe(settings)
        for sentence in description.facts:
            click.echo(sentence)
        lacking = description.lacking
        repository.check()
        repository.check_writable()
    except Unavailable as error:
        lacking.append(error.advice if isinstance(error, Unusable) else str(error))
    finally:
        repository.close()
    for sentence in lacking:
        click.echo(f"lacking: {sentence}")
    if not lacking:
        click.echo(f"The database {settings.shown_database_url()} has all that this version of the store needs.")
    return 1 if lacking else 0
