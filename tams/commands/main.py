"""The `tams` command: which groups it has, and the module of each, which is imported when the group is used.

A command that cannot start prints the reason in one sentence and exits with code 2.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final, NamedTuple

import click
from typing_extensions import override

from tams import __version__


class _Entry(NamedTuple):
    """A command in `tams --help`: its module in `tams.commands`, the module's attribute, and its one-line help."""

    module: str
    attribute: str
    help: str


_ENTRIES: Final = {
    "classes": _Entry("classes", "classes", "Manage classes, which share media with groups (TAMS_AUTH_CLASSES)."),
    "db": _Entry("database", "db", "Manage the database."),
    "dev": _Entry("development", "dev", "Create data to try the store with."),
    "health": _Entry("health", "health", "Check the processes of the store that run here."),
    "serve": _Entry("serve", "serve", "Serve the API, and run the background work beside it."),
    "settings": _Entry("settings", "settings", "Show the settings in force, and where each comes from."),
    "storage": _Entry("storage", "storage", "Manage the storage backends."),
    "tokens": _Entry("tokens", "tokens", "Manage long-lived tokens (`token` in TAMS_AUTH)."),
    "users": _Entry("users", "users", "Manage users with passwords (`basic` in TAMS_AUTH)."),
    "vast": _Entry("vast", "vast", "Manage VAST Database."),
    "webhooks": _Entry("webhooks", "webhooks", "Manage webhooks, the receivers of events."),
    "worker": _Entry("serve", "worker", "Run the background work in a separate process."),
}


class LazyGroup(click.Group):
    """A click group that imports the module of a command when the command is used.

    `tams --help` prints the one-line help texts above and imports none of them: it takes a tenth of a second in place
    of one.
    """

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_ENTRIES)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _ENTRIES.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(f"tams.commands.{entry.module}"), entry.attribute)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _ENTRIES[name].help) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tams")
def commands() -> None:
    """Run a Time-addressable Media Store.

    Everything else is set by environment variables: `tams settings` shows them.
    """


def main() -> None:
    """Run the console script."""
    try:
        commands(prog_name="tams")
    except Exception as error:
        # Imported here, because `tams --help` needs none of it.
        from tams.commands.startup import misconfigured
        from tams.config import ConfigurationError

        if not isinstance(error, ConfigurationError):
            raise
        sys.exit(misconfigured(error))


if __name__ == "__main__":
    main()
