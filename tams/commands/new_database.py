"""Creating and upgrading the database of a command, unless that would hide that a database was lost."""

from __future__ import annotations

import click

from tams import adapters
from tams.config import ConfigurationError, Settings
from tams.storage.configuration.backends import LocalConfiguration
from tams.storage.configuration.configured import configured_backends
from tams.storage.factory import open_storage

OPTION = "--new-database"

new_database_option = click.option(
    OPTION,
    is_flag=True,
    help="Create an empty database although local media files exist, which it will not know.",
)


def upgrade_database(settings: Settings, *, new: bool = False, change_concurrency: bool = False) -> None:
    """Create the database, or bring it up to date.

    Without `new`, no database is created beside local media files. An empty database would serve none of them, and
    `tams storage reconcile --repair` would take them all for orphans. Keys do not count as media: a first start may
    have been killed after it wrote them.

    Raises:
        ConfigurationError: the database cannot be used, or is missing while local media files exist.
    """
    if not new and not adapters.is_created(settings):
        _refuse_beside_media(settings)
    adapters.upgrade(settings, change_concurrency=change_concurrency)


def _refuse_beside_media(settings: Settings) -> None:
    for configuration in configured_backends(settings):
        if isinstance(configuration, LocalConfiguration) and open_storage(settings, configuration).listing(limit=1):
            raise ConfigurationError(
                f"The database {settings.shown_database_url()} does not exist, but {configuration.directory} holds "
                "media. Restore the database from its backup, or correct TAMS_DATABASE_URL or --data-dir. To begin "
                f"with an empty database, which will not know these media, run `tams db upgrade {OPTION}`."
            )
