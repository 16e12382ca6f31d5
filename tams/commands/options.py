"""Options and arguments that several commands take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

SCOPES: Final = {word: f"tams-api/{word}" for word in ("read", "write", "delete", "admin")}
"""The scopes of the API by the words that the command line uses."""

ROLES: Final = {
    "reader": ("read",),
    "editor": ("read", "write", "delete"),
    "admin": ("read", "write", "delete", "admin"),
}
"""Sets of scopes by the words that the command line uses."""

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
    help="Grant this scope. No scope includes another. Can be repeated.",
)
role = click.option(
    "--role",
    type=click.Choice(list(ROLES)),
    help="Grant the scopes of this role: " + "; ".join(f"{name}: {', '.join(of)}" for name, of in ROLES.items()) + ".",
)
groups = click.option("--group", "groups", multiple=True, help="Add to this group. Can be repeated.")


def scope_words(granted: frozenset[str]) -> list[str]:
    """Return the command line's words for the scopes."""
    return [word for word, scope in SCOPES.items() if scope in granted]


def granted_scopes(words: Sequence[str], role: str | None) -> frozenset[str]:
    """Return the scopes that `--scope` and `--role` grant together.

    Raises:
        click.UsageError: they grant none.
    """
    if not words and role is None:
        raise click.UsageError("Grant scopes with --scope, or with --role.")
    return frozenset(SCOPES[word] for word in (*words, *(ROLES[role] if role is not None else ())))
