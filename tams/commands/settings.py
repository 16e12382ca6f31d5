"""`tams settings`: the list of settings."""

from __future__ import annotations

import click

from tams.config import documentation


@click.command()
def settings() -> None:
    """Show every environment variable that is a setting."""
    for document in documentation():
        click.echo(f"{document.variable}  [{document.default or 'not set'}]")
        text = f"{document.explanation} Write {document.expects}."
        click.echo(click.wrap_text(text, width=100, initial_indent="    ", subsequent_indent="    ") + "\n")
