"""The list of commands, whose modules are loaded when they are used."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tams.commands.main import commands


def subcommands() -> list[str]:
    return commands.list_commands(click.Context(commands))


def test_help_lists_every_command_without_loading_one() -> None:
    program = (
        "import contextlib, sys\n"
        "from tams.commands.main import commands\n"
        "with contextlib.suppress(SystemExit): commands(['--help'], prog_name='tams')\n"
        "print(*sorted(name for name in sys.modules if name.partition('.')[0] in ('tams', 'flask', 'environs')))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    *text, loaded = ended.stdout.splitlines()
    listed = text[text.index("Commands:") + 1 :]
    assert [line.split()[0] for line in listed] == subcommands()
    assert loaded.split() == ["tams", "tams.commands", "tams.commands.main"]


@pytest.mark.parametrize("name", subcommands())
def test_the_line_in_the_list_is_the_first_sentence_of_the_command(name: str) -> None:
    context = click.Context(commands)
    command = commands.get_command(context, name)
    assert command is not None
    formatter = click.HelpFormatter(width=200)
    commands.format_commands(context, formatter)
    line = next(line for line in formatter.getvalue().splitlines() if line.split()[0] == name)
    assert line.split(maxsplit=1)[1] == (command.help or "").split("\n\n")[0]
