"""Options and arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

SCOPES: Final = {word: f"tams-api/{word}" for word in ("read", "write", "delete", "admin")}
"""The scopes of the API by the words that the command line uses."""

data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the database and the media; created if missing.  [default: TAMS_DATA_DIR, or ./data]",
)
backends = click.argument("backends", nargs=-1, metavar="[BACKEND]...")
scopes = click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(SCOPES)),
    multiple=True,
    required=True,
    help="Grant this scope. No scope includes another. Can be repeated.",
)
groups = click.option("--group", "groups", multiple=True, help="Add to this group. Can be repeated.")


def scope_words(granted: frozenset[str]) -> str:
    """Return the command line's words for the scopes, separated by commas."""
    return ",".join(word for word, scope in SCOPES.items() if scope in granted)
