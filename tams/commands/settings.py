"""`tams settings`: what is set, from where, and what each setting means."""

from __future__ import annotations

import os

import click

from tams.commands import tables
from tams.commands.startup import misconfigured
from tams.config import ConfigurationError, Settings, documentation, in_force

_COLUMNS = {"variable": "variable", "source": "from", "value": "value"}


@click.command()
@click.option("--explain", is_flag=True, help="Show what each setting means, its default, and what it accepts.")
@tables.as_json
@click.argument("names", nargs=-1, metavar="[VARIABLE]...")
def settings(explain: bool, as_json: bool, names: tuple[str, ...]) -> None:
    """Show the settings in force, and where each comes from.

    The settings are those of this shell: of a server, they are those of the environment that it was started in. Values
    of secrets are hidden. Name variables to see only these.
    """
    known = {document.variable for document in documentation()}
    for name in names:
        if name not in known:
            raise click.UsageError(f"{name} is not a setting.")
    if explain:
        _explain(names)
        return
    rows = [setting.as_dict() for setting in in_force(os.environ) if not names or setting.variable in names]
    tables.show(_COLUMNS, rows, as_json=as_json)
    try:
        Settings.from_env()
    except ConfigurationError as error:
        misconfigured(error)


def _explain(names: tuple[str, ...]) -> None:
    for document in documentation():
        if names and document.variable not in names:
            continue
        click.echo(f"{document.variable}  [{document.default or 'not set'}]")
        text = f"{document.explanation} Write {document.expects}."
        if document.secret:
            text += f" Or name a file that holds it with {document.variable}_FILE."
        click.echo(click.wrap_text(text, width=100, initial_indent="    ", subsequent_indent="    ") + "\n")
