"""`docs/reference/command-line.md` names every command, and its completion works as printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tams.commands.main import commands

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text()
BIN = Path(sys.executable).parent


def listed() -> set[str]:
    """Return the commands in the table of the page, groups without their name for all others in the cell."""
    names = set()
    for cell in re.findall(r"^\| (`tams .*?) \|", PAGE, re.MULTILINE):
        words = re.findall(r"`(.*?)`", cell)
        group = ""
        for word in words:
            name = word.removeprefix("tams ")
            if word.startswith("tams "):
                group = name.split()[0] if " " in name else ""
            names.add(name if word.startswith("tams ") else f"{group} {name}")
    return names


def existing() -> set[str]:
    context = click.Context(commands)
    names = set()
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        if name == "dev":
            names.add(name)
        elif isinstance(command, click.Group):
            names |= {f"{name} {subcommand}" for subcommand in command.commands}
        else:
            names.add(name)
    return names


def test_the_page_lists_every_command() -> None:
    assert listed() == existing()


@pytest.mark.parametrize("shell", re.findall(r"_TAMS_COMPLETE=(\w+)_source", PAGE))
def test_completion_is_printed_for_every_shell_of_the_page(shell: str) -> None:
    environment = os.environ | {"_TAMS_COMPLETE": f"{shell}_source", "PATH": f"{BIN}:{os.environ['PATH']}"}
    ended = subprocess.run(["tams"], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "_TAMS_COMPLETE=" in ended.stdout


def test_bash_completes_a_command_as_the_page_says() -> None:
    (line,) = re.findall(r'^eval "\$\(_TAMS_COMPLETE=bash_source tams\)"', PAGE, re.MULTILINE)
    script = f'{line}\nCOMP_WORDS=(tams webh) COMP_CWORD=1\n_tams_completion tams\necho "${{COMPREPLY[@]}}"'
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "webhooks\n"


def test_the_json_of_a_list_is_read_line_by_line(tmp_path: Path) -> None:
    (line,) = re.findall(r"^tams .*--json.*$", PAGE, re.MULTILINE)
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "TAMS_STORAGE_LABEL": "near"}
    ended = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    (backend,) = [json.loads(text) for text in ended.stdout.splitlines()]
    assert (backend["label"], backend["default"]) == ("near", True)
