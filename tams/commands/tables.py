"""Lists on the terminal: a table with a header for people, a JSON object on each line for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
import orjson

_GAP = "  "
_EMPTY = "-"

as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")


def show(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print the rows: as a table of these columns (the title of each, by the key of its values), or whole as JSON."""
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row))
        return
    lines = [[title.upper() for title in columns.values()]]
    lines += [[_cell(row.get(key)) for key in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo(_GAP.join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    text = _EMPTY if value is None else str(value)
    # What clients wrote (a URL, a label) has to stay on its line and must not control the terminal.
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text) or _EMPTY
